"""The demo: depthwise and TVConv trained, verified and compared on drawn faces. make demo runs it."""

import subprocess
import sys
from datetime import datetime
from pathlib import Path

from facerec.program import run

ROOT = Path(__file__).resolve().parents[1]


def main(overrides: list[str]) -> int:
    name = f"demo/{datetime.now():%Y-%m-%d_%H-%M-%S}"
    folder = Path("outputs") / name
    steps = (
        ["train.py", "-m", "experiment=demo", f"name={name}", "operator=depthwise,tvconv", *overrides],
        ["scripts/report.py", str(folder), "--markdown", str(folder / "table.md"), "--csv", str(folder / "table.csv")],
        ["scripts/plot_runs.py", str(folder), "--out", str(folder / "demo.png")],
    )
    for step in steps:
        print(f"\n$ python {' '.join(step)}", file=sys.stderr, flush=True)
        status = subprocess.run([sys.executable, *step], cwd=ROOT, check=False).returncode
        if status:
            return status
    print(f"\npicture: {folder / 'demo.png'}\nmore:    tensorboard --logdir {folder}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    run(main)
