"""The same as ``facerec export``."""

from facerec.commands.main import command
from facerec.process import run

main = command("export")

if __name__ == "__main__":
    run(main)
