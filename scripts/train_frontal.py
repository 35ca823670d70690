"""The same as ``facerec train_frontal``."""

from facerec.commands.main import command
from facerec.process import run

main = command("train_frontal")

if __name__ == "__main__":
    run(main)
