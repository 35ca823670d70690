"""The table over runs: python scripts/report.py outputs/NAME ... [--csv FILE] [--markdown FILE]

Every finished run at or below the folders counts; runs that differ in the seed alone share a row.
"""

import argparse
import sys
from pathlib import Path

from facerec.program import run

from facerec.errors import InputError
from facerec.files import replacing
from facerec.runs.report import comma_separated, find_runs, markdown, show, table_rows


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--csv", type=Path, help="write the table here as CSV")
    parser.add_argument("--markdown", type=Path, help="write the table here as Markdown")
    options = parser.parse_args(arguments)
    try:
        rows = table_rows(find_runs(options.folders))
        show(rows)
        for path, text in ((options.csv, comma_separated(rows)), (options.markdown, markdown(rows))):
            if path is not None:
                with replacing(path) as partial:
                    partial.write_text(text, encoding="utf-8")
    except InputError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    run(main)
