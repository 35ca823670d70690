"""The same as ``facerec report``."""

from facerec.program import run

from facerec.commands.main import command

main = command("report")

if __name__ == "__main__":
    run(main)
