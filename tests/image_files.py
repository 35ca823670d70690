"""Small image files, and a folder of data made of them."""

from pathlib import Path

import cv2
import numpy as np

RED, GREEN, BLUE, GREY = (255, 0, 0), (0, 255, 0), (0, 0, 255), (128, 128, 128)


def encode(image: np.ndarray, suffix: str = ".png") -> bytes:
    """An RGB image as the bytes of a file."""
    return cv2.imencode(suffix, np.ascontiguousarray(image[..., ::-1]))[1].tobytes()


def plain(colour: tuple[int, int, int], size: tuple[int, int] = (12, 12)) -> np.ndarray:
    """An image of one colour, (height, width) ``size``."""
    return np.full((*size, 3), colour, np.uint8)


def write_image(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode(image, path.suffix))


def write_text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def write_faces(root: Path, images_per_identity: int = 4) -> None:
    """Three people to train on in ``train``, one all red, one green, one blue; a benchmark ``pairs`` of twenty."""
    for name, colour in {"ann": RED, "bob": GREEN, "eve": BLUE}.items():
        for number in range(images_per_identity):
            write_image(root / "train" / name / f"{number}.png", plain(colour))
    write_benchmark(root, "pairs", 10)


def write_benchmark(root: Path, name: str, times: int = 1) -> None:
    """A benchmark of two pairs, listed so many times, over three images, two red ones and a blue one."""
    for file, colour in {"r1.png": RED, "r2.png": RED, "b.png": BLUE}.items():
        write_image(root / name / name / file, plain(colour))
    write_text(root / name / f"{name}_pair.txt", times * "r2.png r1.png 1\nr1.png b.png -1\n")


NUM_NOISE_PAIRS = 20


def write_noise(root: Path) -> None:
    """Four people of eight images to train on, and a benchmark ``odd`` of 13 images, an odd number; all of noise."""
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 256, (32, 32, 3)).astype(np.uint8) for _ in range(32 + 13)]
    for number in range(32):
        write_image(root / "train" / f"{number // 8}" / f"{number % 8}.png", noise[number])
    for number in range(13):
        write_image(root / "odd" / "odd" / f"{number}.png", noise[32 + number])
    pairs = [(pair % 13, (5 * pair + 1) % 13, 1 if pair % 2 else -1) for pair in range(NUM_NOISE_PAIRS)]
    write_text(root / "odd" / "odd_pair.txt", "".join(f"{a}.png {b}.png {flag}\n" for a, b, flag in pairs))
