"""The same as ``facerec recordio``."""

from facerec.program import run

from facerec.commands.main import command

main = command("recordio")

if __name__ == "__main__":
    run(main)
