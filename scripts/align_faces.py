"""Aligns faces: every image below IMAGES becomes a face of 112 x 112 pixels in OUT, eyes, nose and mouth in their
places.

    python scripts/align_faces.py PHOTOS OUT --detector face_detection_yunet_2026may.onnx
    python scripts/align_faces.py IMAGES OUT --landmarks POINTS.csv
    python scripts/align_faces.py cfp-dataset/Data/Images OUT --fiducials cfp-dataset/Data/Fiducials
    python scripts/align_faces.py lfw-deepfunneled OUT --crop lfw

Relative paths are kept, so that PHOTOS/PERSON/IMAGE becomes OUT/PERSON/IMAGE: with OUT=faces/train, train.py
data=folder data.root=faces trains on them. A second run makes what is missing or has changed. OUT/failures.csv says
what could not be aligned and why, OUT/contact_sheet.png shows a spread of the faces and those whose landmarks fit
worst.

Landmarks are a CSV with a header (path, left_eye_x, left_eye_y, right_eye_x, ... nose, left_mouth, right_mouth, in any
order, empty cells for hidden points), lines of PATH X1 Y1 ... X5 Y5, or CelebA's list_landmarks_celeba.txt; their
paths start from IMAGES. CFP's profiles have half a face, and are aligned by its eye, nose and corner of the mouth.

The last line on standard output is JSON: aligned, skipped (there already), failed, and the mean and the largest
residual, which is the root mean square distance of a face's landmarks from the template, in pixels of the result.
Exit status 1 when the input is wrong or there is no face at all.
"""

import argparse
import json
import os
import sys
from pathlib import Path

from facerec.alignment.align import Alignment, Outcome, Settings, align_all
from facerec.alignment.crop import LFW, parse_crop
from facerec.alignment.detector import FaceDetector
from facerec.alignment.fiducials import PROFILE_LINES, Fiducials, parse_lines
from facerec.alignment.files import find_images, outputs, refuse_overlap
from facerec.alignment.landmarks import ListedLandmarks, read_landmarks
from facerec.alignment.placing import FacePlacer
from facerec.alignment.summary import Summary, write_failures, write_sheet
from facerec.alignment.warp import BORDERS
from facerec.errors import InputError
from facerec.runs import log

_MOST_WORKERS = 8
_SMALLEST, _LARGEST = 16, 1024  # pixels
_REASONS = 5  # shown; failures.csv has them all


def main(arguments: list[str]) -> int:
    options = _parser().parse_args(arguments)
    summary = Summary()
    try:
        _run(options, summary)
    except InputError as error:
        log(str(error))
        return 1
    except KeyboardInterrupt:
        log(f"stopped after {summary.faces} faces, which are kept: run the same command again to go on")
        return 130
    print(json.dumps(summary.as_json()))
    return 0 if summary.faces else 1


def _run(options: argparse.Namespace, summary: Summary) -> None:
    refuse_overlap(options.images, options.out)
    placer, settings = _placer(options), _settings(options)
    targets = outputs(_images(options, placer, summary), f".{options.format}")
    alignment = Alignment(options.images, options.out, targets, placer, settings)
    for outcome in align_all(alignment, options.workers):
        summary.add(outcome)
    _write(summary, options.out, targets)
    if isinstance(placer, ListedLandmarks) and summary.is_mostly_mirrored:
        log(
            "most faces fit better with left and right exchanged: is the list's left the subject's? Then --left subject"
        )


def _images(options: argparse.Namespace, placer: FacePlacer, summary: Summary) -> list[str]:
    """The paths to align; those that are listed and not there are failures already."""
    paths = find_images(options.images, options.out)
    listed = placer.not_among(paths) if isinstance(placer, ListedLandmarks) else []
    for path in listed:
        summary.add(
            Outcome(path, f"the image is listed and not below {options.images}: restore it or take it off the list")
        )
    if not paths and not listed:
        raise InputError(f"{options.images} holds no image: give the folder of images to align")
    return paths


def _write(summary: Summary, out: Path, targets: dict[str, str]) -> None:
    write_failures(summary.failures, out / "failures.csv")
    if summary.faces:
        write_sheet(summary, out, targets, out / "contact_sheet.png")
    if summary.failures:
        total = len(summary.failures) + summary.faces
        log(f"not aligned: {len(summary.failures):,} of {total:,} images, see {out / 'failures.csv'}")
    for reason, images in summary.reasons()[:_REASONS]:
        log(f"  {images:,}: {reason}")


def _placer(options: argparse.Namespace) -> FacePlacer:
    if options.landmarks:
        return read_landmarks(options.landmarks, options.images, options.left)
    if options.fiducials:
        frontal = parse_lines(options.frontal_points) if options.frontal_points else None
        return Fiducials(options.fiducials, parse_lines(options.profile_points), frontal)
    if options.crop:
        return parse_crop(options.crop)
    return FaceDetector(options.detector, options.face, options.min_score)


def _settings(options: argparse.Namespace) -> Settings:
    if not _SMALLEST <= options.size <= _LARGEST:
        raise InputError(f"--size {options.size} is not between {_SMALLEST} and {_LARGEST} pixels: 112 is customary")
    return Settings(options.size, options.border, options.orientation == "displayed", options.again)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", metavar="IMAGES", type=Path)
    parser.add_argument("out", metavar="OUT", type=Path)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--detector", type=Path, metavar="MODEL.onnx", help="find faces with OpenCV and this YuNet")
    where.add_argument("--landmarks", type=Path, metavar="FILE", help="five points an image")
    where.add_argument("--fiducials", type=Path, metavar="FOLDER", help="CFP's fiducial files")
    where.add_argument("--crop", metavar="LEFT,TOP,WIDTH,HEIGHT", help="a square in pixels, or lfw, which is " + LFW)
    _add_details(parser)
    return parser


def _add_details(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--size", type=int, default=112, help="pixels of a face's side (112)")
    add("--format", choices=("jpg", "png"), default="jpg", help="jpg of quality 95 (default), or png")
    add("--border", choices=tuple(BORDERS), default="constant", help="beyond the image: black (default), or its edge")
    add(
        "--orientation",
        choices=("displayed", "stored"),
        default="displayed",
        help="turn images as their EXIF orientation says (default), as OpenCV's imread, browsers and labelling tools "
        "do; stored: the landmarks are those of the pixels as they are in the file, as Pillow reads them",
    )
    add("--left", choices=("viewer", "subject"), default="viewer", help="whose left --landmarks speaks of (viewer)")
    add("--face", choices=("largest", "central"), default="largest", help="of several that the detector finds")
    add("--min-score", type=float, default=0.9, help="how sure the detector must be, 0 to 1 (0.9)")
    add(
        "--profile-points",
        metavar="LINES",
        default=PROFILE_LINES,
        help=f"lines of CFP's profile files that make eye/nose/mouth ({PROFILE_LINES})",
    )
    add("--frontal-points", metavar="LINES", help="likewise of its frontal files, or five groups; no default is known")
    add("--workers", type=int, default=min(_cores(), _MOST_WORKERS), help="processes (the cores, at most 8)")
    add("--again", action="store_true", help="make faces that are there already once more")


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
