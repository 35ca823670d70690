"""The same as ``facerec filter_frontal``."""

from facerec.program import run

from facerec.commands.main import command

main = command("filter_frontal")

if __name__ == "__main__":
    run(main)
