"""The same as ``facerec evaluate``."""

from facerec.program import run

from facerec.commands.main import command

main = command("evaluate")

if __name__ == "__main__":
    run(main)
