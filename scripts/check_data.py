"""The same as ``facerec check_data``."""

from facerec.commands.main import command
from facerec.process import run

main = command("check_data")

if __name__ == "__main__":
    run(main)
