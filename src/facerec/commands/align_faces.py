"""Aligns faces: every image below IMAGES becomes a face of 112 x 112 pixels in OUT, eyes, nose and mouth in their
places.

    python scripts/align_faces.py PHOTOS OUT --detector face_detection_yunet_2026may.onnx
    python scripts/align_faces.py IMAGES OUT --landmarks POINTS.csv
    python scripts/align_faces.py cfp-dataset/Data/Images OUT --fiducials cfp-dataset/Data/Fiducials
    python scripts/align_faces.py lfw-deepfunneled OUT --crop lfw

Relative paths are kept, so that PHOTOS/PERSON/IMAGE becomes OUT/PERSON/IMAGE: with OUT=faces/train, train.py
data=folder data.root=faces trains on them. A second run makes what is missing or has changed, and removes its own faces
whose image is gone or can no longer be aligned: one run decides on all of IMAGES. OUT/failures.csv says what could not
be aligned and why, OUT/contact_sheet.png shows a spread of the faces and those whose landmarks fit worst.

Landmarks are a CSV with a header (path, left_eye_x, left_eye_y, right_eye_x, ... nose, left_mouth, right_mouth, in any
order, empty cells for hidden points), lines of PATH X1 Y1 ... X5 Y5, or CelebA's list_landmarks_celeba.txt; their
paths start from IMAGES, and a line that begins with # is a comment. CFP's profiles have half a face, and are aligned by
its eye, nose and corner of the mouth.

The last line on standard output is JSON: aligned, skipped (there already), failed, removed, and the mean and the
largest residual, which is the root mean square distance of a face's landmarks from the template, in pixels of the
result. Exit status 1 when the input is wrong or there is no face at all.
"""

import argparse
import json
import os
from pathlib import Path

from facerec.program import run

from facerec.alignment.align import Alignment, Outcome, Settings, align_all, folder_digest
from facerec.alignment.crop import LFW, parse_crop
from facerec.alignment.detector import FaceDetector
from facerec.alignment.fiducials import PROFILE_LINES, Fiducials, parse_lines
from facerec.alignment.landmarks import ListedLandmarks, read_landmarks
from facerec.alignment.outputs import remove_leftovers
from facerec.alignment.paths import SHEET, find_images, outputs, refuse_overlap, why_not_found
from facerec.alignment.placement import FacePlacer
from facerec.alignment.summary import Summary, write_failures, write_sheet
from facerec.alignment.warp import BORDERS
from facerec.console import log
from facerec.errors import InputError, one_line

_MOST_WORKERS = 8
_SMALLEST, _LARGEST = 16, 1024  # pixels
_SURE = 0.9  # of a face that the detector found
_REASONS = 5  # shown; failures.csv has them all
_OPTIONS_OF = {
    "landmarks": ("left",),
    "detector": ("face", "min_score"),
    "fiducials": ("profile_points", "frontal_points"),
    "crop": (),
}


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
    _refuse_options(options)
    placer, settings = _placer(options), _settings(options)
    targets = outputs(_images(options, placer, summary), f".{options.format}")
    alignment = Alignment(options.images, options.out, targets, placer, settings)
    for outcome in align_all(alignment, options.workers):
        summary.add(outcome)
    if summary.faces:  # otherwise the settings are wrong, and not the images
        _remove_leftovers(options, summary, targets)
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
        summary.add(Outcome(path, why_not_found(options.images, path)))
    if not paths and not listed:
        raise InputError(f"{options.images} holds no image: give the folder of images to align")
    return paths


def _remove_leftovers(options: argparse.Namespace, summary: Summary, targets: dict[str, str]) -> None:
    failed = {failure.path for failure in summary.failures}
    made = {output for path, output in targets.items() if path not in failed}
    left = remove_leftovers(options.out, set(targets.values()), made, folder_digest(options.images))
    summary.removed = len(left.removed)
    if left.removed:
        example = one_line(left.removed[0])
        log(f"faces of earlier runs removed: {len(left.removed):,}, such as {example}: image gone or not aligned now")
    if left.other:
        example = one_line(left.other[0])
        log(f"faces of other folders of images in {options.out}: {len(left.other):,}, such as {example}, which stay")


def _write(summary: Summary, out: Path, targets: dict[str, str]) -> None:
    write_failures(summary.failures, out / "failures.csv")
    if summary.faces:
        write_sheet(summary, out, targets, out / SHEET)
    if summary.failures:
        total = len(summary.failures) + summary.faces
        log(f"not aligned: {len(summary.failures):,} of {total:,} images, see {out / 'failures.csv'}")
    for reason, images in summary.reasons()[:_REASONS]:
        log(f"  {images:,}: {reason}")


def _placer(options: argparse.Namespace) -> FacePlacer:
    if options.landmarks is not None:
        return read_landmarks(options.landmarks, options.images, options.left or "viewer")
    if options.fiducials is not None:
        frontal = None if options.frontal_points is None else parse_lines(options.frontal_points)
        profile = PROFILE_LINES if options.profile_points is None else options.profile_points
        return Fiducials(options.fiducials, parse_lines(profile), frontal)
    if options.crop is not None:
        return parse_crop(options.crop)
    return FaceDetector(options.detector, options.face or "largest", _min_score(options))


def _min_score(options: argparse.Namespace) -> float:
    if options.min_score is None:
        return _SURE
    if not 0 <= options.min_score <= 1:
        raise InputError(f"--min-score {options.min_score} is not between 0 and 1: {_SURE} is customary")
    return options.min_score


def _refuse_options(options: argparse.Namespace) -> None:
    """`InputError` for an option that says nothing about the source of landmarks that was given."""
    for source, names in _OPTIONS_OF.items():
        for name in names if getattr(options, source) is None else ():
            if getattr(options, name) is not None:
                raise InputError(f"--{name.replace('_', '-')} goes with --{source}, which is not given: leave it out")


def _settings(options: argparse.Namespace) -> Settings:
    if not _SMALLEST <= options.size <= _LARGEST:
        raise InputError(f"--size {options.size} is not between {_SMALLEST} and {_LARGEST} pixels: 112 is customary")
    if options.workers < 1:
        raise InputError(f"--workers {options.workers} is not 1 or more: give the number of processes")
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
    add("--left", choices=("viewer", "subject"), help="whose left --landmarks speaks of (viewer)")
    add("--face", choices=("largest", "central"), help="of several that the detector finds (largest)")
    add("--min-score", type=float, help=f"how sure the detector must be, 0 to 1 ({_SURE})")
    add(
        "--profile-points",
        metavar="LINES",
        help=f"lines of CFP's profile files that make eye/nose/mouth ({PROFILE_LINES})",
    )
    add("--frontal-points", metavar="LINES", help="likewise of its frontal files, or five groups; no default is known")
    add("--workers", type=int, default=min(_cores(), _MOST_WORKERS), help="processes (the cores, at most 8)")
    add("--again", action="store_true", help="make faces that are there already once more")


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


if __name__ == "__main__":
    run(main)
