"""Train, verify and compare depthwise convolution and TVConv on synthetic faces: facerec demo, or make demo"""

import subprocess
import sys
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from facerec.config.settings import command, run_settings


@dataclass
class Settings:
    """Settings:"""

    overrides: tuple[str, ...] = run_settings("as for train, such as trainer.max_epochs=1")


def run_demo(settings: Settings) -> int:
    name = f"demo/{datetime.now():%Y-%m-%d_%H-%M-%S}"
    folder = Path("outputs") / name
    steps = (
        ["train", "-m", "experiment=demo", f"name={name}", "operator=depthwise,tvconv", *settings.overrides],
        ["report", str(folder), f"markdown={folder / 'table.md'}", f"csv={folder / 'table.csv'}"],
        ["plot_runs", str(folder), f"out={folder / 'demo.png'}"],
    )
    for step in steps:
        print(f"\n$ facerec {' '.join(step)}", file=sys.stderr, flush=True)
        status = subprocess.run([sys.executable, "-m", "facerec.commands.main", *step], check=False).returncode
        if status:
            return status
    print(f"\nfigure: {folder / 'demo.png'}\nmore:   tensorboard --logdir {folder}", file=sys.stderr)
    return 0


main = command(Settings, run_demo)
