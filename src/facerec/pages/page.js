"use strict";
const order = new Intl.Collator("en", { numeric: true });
const key = (row, column, number) => {
  const text = row.cells[column].textContent.trim();
  return number ? parseFloat(text) : text || NaN;
};
function sort(header) {
  const [table, number] = [header.closest("table"), header.classList.contains("n")];
  const first = number ? "descending" : "ascending", other = number ? "ascending" : "descending";
  const direction = header.ariaSort === first ? other : first, sign = direction === "ascending" ? 1 : -1;
  const rows = [...table.tBodies[0].rows].map((row) => [key(row, header.cellIndex, number), row]);
  const last = (value) => Number.isNaN(value);
  rows.sort(([a], [b]) => last(a) - last(b) || (last(a) ? 0 : sign * (number ? a - b : order.compare(a, b))));
  for (const [, row] of rows) table.tBodies[0].append(row);
  for (const cell of table.tHead.rows[0].cells) cell.ariaSort = cell === header ? direction : null;
}
document.addEventListener("click", ({ target }) => target.closest("th button") && sort(target.closest("th")));
document.addEventListener("mouseover", ({ target }) => {
  const data = target.closest("svg [data-cell], .legend [data-group]")?.dataset ?? {};
  const name = data.cell === undefined ? "group" : "cell";
  document.body.classList.toggle("pointing", data[name] !== undefined);
  for (const part of document.querySelectorAll("svg [data-cell]"))
    part.classList.toggle("on", part.dataset[name] === data[name]);
});
