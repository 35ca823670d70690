"""The same as ``facerec recordio``."""

from facerec.commands.main import command
from facerec.process import run

main = command("recordio")

if __name__ == "__main__":
    run(main)
