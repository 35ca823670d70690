"""Write a contact sheet of synthetic faces, one person to a row: facerec plot_synthetic out.png"""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from facerec.config.settings import command, setting
from facerec.data.synthetic.synthetic_faces import SyntheticFaces
from facerec.errors import InputError

NUM_PEOPLE, NUM_PICTURES = 8, 8


@dataclass
class Settings:
    """Settings:"""

    out: Path = setting("the picture", word=True)


def draw(settings: Settings) -> None:
    faces = SyntheticFaces(NUM_PEOPLE, NUM_PICTURES)
    images = np.stack([faces.load(index) for index in range(len(faces))])
    rows = images.reshape(NUM_PEOPLE, NUM_PICTURES, *images.shape[1:]).swapaxes(1, 2)
    sheet = rows.reshape(NUM_PEOPLE * faces.image_size, NUM_PICTURES * faces.image_size, 3)
    if not cv2.imwrite(str(settings.out), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR)):
        raise InputError(f"{settings.out} could not be written: give a file in an existing folder")


main = command(Settings, draw)
