"""The same as ``facerec plot_runs``."""

from facerec.program import run

from facerec.commands.main import command

main = command("plot_runs")

if __name__ == "__main__":
    run(main)
