"""One table in every format, from rows written by hand."""

import csv
import io

import pytest
from says import refuses, says

from facerec.errors import InputError
from facerec.runs.table_formats import (
    Estimate,
    comma_separated,
    latex,
    latex_for_one_column,
    markdown,
    records,
    write_markdown,
)
from facerec.verification.intervals import Interval

ROWS = [
    {"backbone": "MBV2", "operator": "TVConv", "lfw": Estimate(0.9, Interval(0.88, 0.917)), "p": "0.12", "seeds": "3"},
    {"backbone": "MBV2", "operator": "Depthwise", "lfw": Estimate(0.8, None), "p": "n/a", "seeds": "3", "more": "x"},
]


def test_an_estimate_is_a_text_in_percent():
    assert ROWS[0]["lfw"] == "90.00 [88.00, 91.70]" and ROWS[1]["lfw"] == "80.00 [n/a]"
    assert Estimate(0.042, Interval(-0.004, 0.088), "+") == "+4.20 [-0.40, +8.80]"


def test_csv_has_plain_numbers_in_columns_of_their_own():
    rows = [{**ROWS[0], "difference": Estimate(0.042, Interval(-0.004, 0.088), "+")}, ROWS[1]]
    first, second = csv.DictReader(io.StringIO(text := comma_separated(rows)))
    assert [float(first[f"lfw{part}"]) for part in ("", " low", " high")] == [90, 88, 91.7]
    assert [float(first[f"difference{part}"]) for part in ("", " low", " high")] == [4.2, -0.4, 8.8]
    assert (float(second["lfw"]), second["lfw low"], second["p"], second["more"]) == (80, "", "", "x")
    assert (first["operator"], first["p"], second["difference"]) == ("TVConv", "0.12", "") and not set("'±") & set(text)


def test_json_has_numbers():
    first, second = records(ROWS)
    assert first == {
        **{"backbone": "MBV2", "operator": "TVConv", "lfw": {"value": 90.0, "low": 88.0, "high": 91.7}},
        **{"p": 0.12, "seeds": 3, "more": None},
    }
    assert second["lfw"] == {"value": 80.0, "low": None, "high": None} and second["p"] is None


def test_markdown_holds_every_cell():
    header, rule, *lines = (
        [cell.strip() for cell in line.strip("|").split("|")] for line in markdown(ROWS).splitlines()
    )
    rules = dict(zip(header, rule, strict=True))
    assert (rules["backbone"], rules["seeds"]) == ("---", "---:")
    assert [dict(zip(header, line, strict=True)) for line in lines] == [{"more": ""} | row for row in ROWS]


def test_latex_holds_every_cell_and_figures_are_on_the_right():
    columns, top, header, middle, *lines, bottom, end = latex(ROWS).splitlines()
    assert (top, middle, bottom, end) == (r"\toprule", r"\midrule", r"\bottomrule", r"\end{tabular}")
    names, *values = (line.removesuffix(r" \\").split(" & ") for line in (header, *lines))
    assert [dict(zip(names, line, strict=True)) for line in values] == [{"more": ""} | row for row in ROWS]
    assert columns == r"\begin{tabular}{llrrrr}"


def test_latex_for_one_column_has_intervals_below_and_says_once_what_is_common():
    common, size, columns, top, header, middle, *lines, bottom, end = latex_for_one_column(ROWS).splitlines()
    assert common == "% all rows: backbone MBV2; seeds 3" and says(size, "footnotesize", "tabcolsep")
    assert (top, middle, bottom, end) == (r"\toprule", r"\midrule", r"\bottomrule", r"\end{tabular}}")
    assert columns == r"\begin{tabular}{lrrr}" and header == r"operator & lfw & p & more \\"
    assert lines == [
        r"TVConv & 90.00 & 0.12 &  \\",
        r" & {\scriptsize [88.00, 91.70]} &  &  \\",
        r"Depthwise & 80.00 & n/a & x \\",
    ]


def test_long_texts_have_lines_of_their_own_when_they_change():
    rows = [{"settings": text, "operator": f"o{index}"} for index, text in enumerate(("a_b", "a_b", "", "c"))]
    lines = latex_for_one_column(rows).splitlines()[5:-2]
    kinds = [line if line[:1] == "o" else line[:12] for line in lines]
    above, space = r"\multicolumn", r"\addlinespac"
    assert kinds == [above, r"o0 \\", r"o1 \\", space, r"o2 \\", above, r"o3 \\"] and r"a\_b" in lines[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a_b & 5 %", r"a\_b \& 5 \%"),
        ("~^\\", r"\textasciitilde{}\textasciicircum{}\textbackslash{}"),
        ("1 ± 2", r"1 $\pm$ 2"),
    ],
)
def test_marks_of_latex_are_escaped(text, expected):
    assert latex([{"name": text}]).splitlines()[4] == rf"{expected} \\"


def test_a_page_with_a_place_keeps_the_rest(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- facerec report a b -->\nold\n<!-- end -->\nafter <!-- end -->\n")
    for text in ("one\n", "two\n"):
        write_markdown(text, page, "facerec report a b")
    place = "<!-- facerec report a b -->\n\ntwo\n\n<!-- end -->"
    assert page.read_text() == f"before\n{place}\nafter <!-- end -->\n"
    with refuses("page.md", "<!-- facerec report c -->", "put", error=InputError):
        write_markdown("three", page, "facerec report c")
    write_markdown("whole", tmp_path / "new.md", "facerec report c")
    assert (tmp_path / "new.md").read_text() == "whole"


def test_marks_of_markdown_are_escaped():
    names = ["a\nb", "a|b", "a\\|b", "<b>", "*x*", "`x`"]
    header, _, *rows = markdown([dict.fromkeys(names, "1")]).splitlines()
    assert header[2:-2].split(" | ") == ["a<br>b", "a\\|b", "a\\\\\\|b", "\\<b>", "\\*x\\*", "\\`x\\`"]
    assert {len(row.split(" | ")) for row in rows} == {len(names)}


def test_no_cell_of_csv_is_a_formula():
    names = ["=1+1", "@x", "-1.5", "+x", "a=b"]
    (header, *_) = csv.reader(io.StringIO(comma_separated([dict.fromkeys(names, "1")])))
    assert header == ["'=1+1", "'@x", "-1.5", "'+x", "a=b"]
