"""The same as ``facerec report``."""

from facerec.commands.main import command
from facerec.process import run

main = command("report")

if __name__ == "__main__":
    run(main)
