"""The same as ``facerec demo``."""

from facerec.commands.main import command
from facerec.process import run

main = command("demo")

if __name__ == "__main__":
    run(main)
