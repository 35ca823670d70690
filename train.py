"""Train a face recogniser: python train.py operator=tvconv backbone=mbv2 width=0.2

`facerec.commands.train_run` reads the command line, `facerec.commands.one_run` is a run.
"""

from facerec.process import importing, run

with importing():
    from facerec.commands.train_run import program

if __name__ == "__main__":
    run(program)
