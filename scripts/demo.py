"""The same as ``facerec demo``."""

from facerec.program import run

from facerec.commands.main import command

main = command("demo")

if __name__ == "__main__":
    run(main)
