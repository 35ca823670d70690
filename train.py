"""Train a face recogniser: python train.py operator=tvconv backbone=mbv2 width=0.2

`facerec.commands.train_run` reads the command line, `facerec.commands.one_run` is a run.
"""

from facerec.commands.train_run import program
from facerec.process import run

if __name__ == "__main__":
    run(program)
