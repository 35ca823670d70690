"""The same as ``facerec prepare_benchmark``."""

from facerec.program import run

from facerec.commands.main import command

main = command("prepare_benchmark")

if __name__ == "__main__":
    run(main)
