"""Write a contact sheet of synthetic faces, one row per person: facerec plot_synthetic out.png"""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from facerec.config.settings import command, setting
from facerec.data.synthetic.synthetic_faces import SyntheticFaces
from facerec.errors import InputError
from facerec.files import replacing

NUM_PEOPLE, IMAGES_PER_PERSON = 8, 8


@dataclass
class Settings:
    """Settings:"""

    out: Path = setting("the image file to write", word=True, written=True)


def draw(settings: Settings) -> None:
    """Draw and write the contact sheet."""
    if not settings.out.suffix or not cv2.haveImageWriter(str(settings.out)):
        raise InputError(f"{settings.out} has no suffix of an image file: end its name in .png or .jpg")
    faces = SyntheticFaces(NUM_PEOPLE, IMAGES_PER_PERSON)
    images = np.stack([faces.load(index) for index in range(len(faces))])
    rows = images.reshape(NUM_PEOPLE, IMAGES_PER_PERSON, *images.shape[1:]).swapaxes(1, 2)
    sheet = rows.reshape(NUM_PEOPLE * faces.image_size, IMAGES_PER_PERSON * faces.image_size, 3)
    _, encoded = cv2.imencode(settings.out.suffix, cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))
    with replacing(settings.out) as partial:
        partial.write_bytes(encoded.tobytes())


main = command(Settings, draw)
