"""The same as ``facerec evaluate``."""

from facerec.commands.main import command
from facerec.process import run

main = command("evaluate")

if __name__ == "__main__":
    run(main)
