"""The same as ``facerec filter_frontal``."""

from facerec.commands.main import command
from facerec.process import run

main = command("filter_frontal")

if __name__ == "__main__":
    run(main)
