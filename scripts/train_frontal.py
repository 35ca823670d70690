"""The same as ``facerec train_frontal``."""

from facerec.program import run

from facerec.commands.main import command

main = command("train_frontal")

if __name__ == "__main__":
    run(main)
