"""The same as ``facerec align_faces``."""

from facerec.program import run

from facerec.commands.main import command

main = command("align_faces")

if __name__ == "__main__":
    run(main)
