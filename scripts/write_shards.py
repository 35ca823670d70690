"""The same as ``facerec write_shards``."""

from facerec.commands.main import command
from facerec.process import run

main = command("write_shards")

if __name__ == "__main__":
    run(main)
