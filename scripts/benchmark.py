"""The same as ``facerec benchmark``."""

from facerec.program import run

from facerec.commands.main import command

main = command("benchmark")

if __name__ == "__main__":
    run(main)
