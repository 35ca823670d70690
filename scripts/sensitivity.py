"""The same as ``facerec sensitivity``."""

from facerec.program import run

from facerec.commands.main import command

main = command("sensitivity")

if __name__ == "__main__":
    run(main)
