"""The same as ``facerec plant_defects``."""

from facerec.program import run

from facerec.commands.main import command

main = command("plant_defects")

if __name__ == "__main__":
    run(main)
