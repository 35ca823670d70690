"""The same as ``facerec plot_runs``."""

from facerec.commands.main import command
from facerec.process import run

main = command("plot_runs")

if __name__ == "__main__":
    run(main)
