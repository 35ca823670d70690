"""The same as ``facerec plant_defects``."""

from facerec.commands.main import command
from facerec.process import run

main = command("plant_defects")

if __name__ == "__main__":
    run(main)
