"""The same as ``facerec sensitivity``."""

from facerec.commands.main import command
from facerec.process import run

main = command("sensitivity")

if __name__ == "__main__":
    run(main)
