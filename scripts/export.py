"""The same as ``facerec export``."""

from facerec.program import run

from facerec.commands.main import command

main = command("export")

if __name__ == "__main__":
    run(main)
