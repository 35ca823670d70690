"""A recogniser of photographs that are known beforehand, and as a program its page, which tells of temporary
files: GALLERY PORT."""

import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from drawn_photos import Knows, Placed, photo

from facerec.process import run
from facerec.recognise import Recogniser
from facerec.recognise.face_network import FaceNetwork
from facerec.verification.all_pairs import compare_all
from facerec.verification.error_rates import ErrorRates

LARGE, SMALL = Placed(0, 30, 40, 128), Placed(1, 240, 80, 84)
_PEOPLE = {"ann": (0, 1), "bob": (3, 4)}  # in the large and in the small place
PLACES = {name: [replace(LARGE, person=one), replace(SMALL, person=other)] for name, (one, other) in _PEOPLE.items()}
PHOTOS = {name: photo(*places) for name, places in PLACES.items()}


def coarse(faces: np.ndarray) -> np.ndarray:
    """A network that sees 7 x 7 grey pixels."""
    return faces.reshape(len(faces), 7, 16, 7, 16, 3).mean((2, 4, 5)).reshape(len(faces), -1) - 100


def rates() -> ErrorRates:
    rng = np.random.default_rng(0)
    people = np.repeat(np.arange(40), 3)
    embeddings = rng.normal(size=(40, 8))[people] + 0.5 * rng.normal(size=(120, 8))
    return ErrorRates.of(compare_all(embeddings, people), {"name": "drawn", "images": 120, "people": 40})


def recogniser() -> Recogniser:
    network = FaceNetwork("net.onnx", "1a2b", (112, 112), False, coarse, rates())
    return Recogniser(network, Knows([(PHOTOS[name], PLACES[name]) for name in PHOTOS]))


def _tell(event: str, arguments: tuple[object, ...]) -> None:
    if event == "open" and str(arguments[0]).startswith(tempfile.gettempdir()):
        print(f"opened {arguments[0]}", file=sys.stderr)


def main(arguments: list[str]) -> int:
    from facerec.recognise.trial.trial_server import serve

    tempfile.gettempdir()  # it looks for a folder by writing to it
    sys.addaudithook(_tell)
    serve(recogniser(), Path(arguments[0]), int(arguments[1]), False)
    return 0


if __name__ == "__main__":
    run(main)
