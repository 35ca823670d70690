"""The same as ``facerec check_data``."""

from facerec.program import run

from facerec.commands.main import command

main = command("check_data")

if __name__ == "__main__":
    run(main)
