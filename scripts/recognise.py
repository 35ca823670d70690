"""The same as ``facerec recognise``."""

from facerec.commands.main import command
from facerec.process import run

main = command("recognise")

if __name__ == "__main__":
    run(main)
