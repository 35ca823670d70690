"""The same as ``facerec align_faces``."""

from facerec.commands.main import command
from facerec.process import run

main = command("align_faces")

if __name__ == "__main__":
    run(main)
