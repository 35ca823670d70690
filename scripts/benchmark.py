"""The same as ``facerec benchmark``."""

from facerec.commands.main import command
from facerec.process import run

main = command("benchmark")

if __name__ == "__main__":
    run(main)
