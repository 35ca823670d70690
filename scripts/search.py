"""The same as ``facerec search``."""

from facerec.commands.main import command
from facerec.process import run

main = command("search")

if __name__ == "__main__":
    run(main)
