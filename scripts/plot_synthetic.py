"""The same as ``facerec plot_synthetic``."""

from facerec.program import run

from facerec.commands.main import command

main = command("plot_synthetic")

if __name__ == "__main__":
    run(main)
