"""The same as ``facerec plot_paper``."""

from facerec.commands.main import command
from facerec.process import run

main = command("plot_paper")

if __name__ == "__main__":
    run(main)
