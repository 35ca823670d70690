"""The same as ``facerec measure``."""

from facerec.program import run

from facerec.commands.main import command

main = command("measure")

if __name__ == "__main__":
    run(main)
