"""The same as ``facerec prepare_benchmark``."""

from facerec.commands.main import command
from facerec.process import run

main = command("prepare_benchmark")

if __name__ == "__main__":
    run(main)
