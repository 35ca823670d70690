"""The same as ``facerec plot_synthetic``."""

from facerec.commands.main import command
from facerec.process import run

main = command("plot_synthetic")

if __name__ == "__main__":
    run(main)
