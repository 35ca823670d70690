"""The same as ``facerec measure``."""

from facerec.commands.main import command
from facerec.process import run

main = command("measure")

if __name__ == "__main__":
    run(main)
