"""Write a contact sheet of synthetic faces, one person to a row: ``python scripts/plot_synthetic.py out.png``."""

import sys

from facerec.program import run

import cv2
import numpy as np

from facerec.data.synthetic.synthetic_faces import SyntheticFaces

NUM_PEOPLE, NUM_PICTURES = 8, 8


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        sys.exit(__doc__)
    (path,) = arguments
    faces = SyntheticFaces(NUM_PEOPLE, NUM_PICTURES)
    images = np.stack([faces.load(index) for index in range(len(faces))])
    rows = images.reshape(NUM_PEOPLE, NUM_PICTURES, *images.shape[1:]).swapaxes(1, 2)
    sheet = rows.reshape(NUM_PEOPLE * faces.image_size, NUM_PICTURES * faces.image_size, 3)
    if not cv2.imwrite(path, cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR)):
        sys.exit(f"{path} could not be written: give a file in an existing folder")
    return 0


if __name__ == "__main__":
    run(main)
