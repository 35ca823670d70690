"""Aligns faces: every image below IMAGES becomes a face of 112 x 112 pixels in OUT, eyes, nose and mouth in their
places

    facerec align_faces PHOTOS OUT detector=face_detection_yunet_2026may.onnx
    facerec align_faces IMAGES OUT landmarks=POINTS.csv
    facerec align_faces cfp-dataset/Data/Images OUT fiducials=cfp-dataset/Data/Fiducials
    facerec align_faces lfw-deepfunneled OUT crop=lfw

Relative paths are kept, so that PHOTOS/PERSON/IMAGE becomes OUT/PERSON/IMAGE: with OUT=faces/train, facerec train
data=folder data.root=faces trains on them. A second run makes what is missing or has changed, and removes its own faces
whose image is gone or can no longer be aligned: one run decides on all of IMAGES. OUT/failures.csv says what could not
be aligned and why, OUT/contact_sheet.png shows a spread of the faces and those whose landmarks fit worst.

Images are turned as their EXIF orientation says, as OpenCV's imread, browsers and labelling tools do;
orientation=stored: the landmarks are those of the pixels as they are in the file, as Pillow reads them.

Landmarks are a CSV with a header (path, left_eye_x, left_eye_y, right_eye_x, ... nose, left_mouth, right_mouth, in any
order, empty cells for hidden points), lines of PATH X1 Y1 ... X5 Y5, or CelebA's list_landmarks_celeba.txt; their
paths start from IMAGES, and a line that begins with # is a comment. CFP's profiles have half a face, and are aligned by
its eye, nose and corner of the mouth.

The last line on standard output is JSON: aligned, skipped (there already), failed, removed, and the mean and the
largest residual, which is the root mean square distance of a face's landmarks from the template, in pixels of the
result. Exit status 1 when the input is wrong or there is no face at all.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from facerec.alignment import align
from facerec.alignment.align import Alignment, Outcome, align_all, folder_digest
from facerec.alignment.crop import parse_crop
from facerec.alignment.detector import FaceDetector
from facerec.alignment.fiducials import PROFILE_LINES, Fiducials, parse_lines
from facerec.alignment.landmarks import ListedLandmarks, read_landmarks
from facerec.alignment.outputs import remove_leftovers
from facerec.alignment.paths import SHEET, find_images, outputs, refuse_overlap, why_not_found
from facerec.alignment.placement import FacePlacer
from facerec.alignment.summary import Summary, write_failures, write_sheet
from facerec.config.settings import command, setting
from facerec.console import log
from facerec.errors import InputError, one_line
from facerec.process import available_cores

_MOST_WORKERS = 8
_SURE = 0.9  # of a face that the detector found
_REASONS = 5  # shown; failures.csv has them all
_OPTIONS_OF = {
    "landmarks": ("left",),
    "detector": ("face", "min_score"),
    "fiducials": ("profile_points", "frontal_points"),
    "crop": (),
}


@dataclass
class Settings:
    """Settings, of which one says where the faces are: detector, landmarks, fiducials or crop"""

    images: Path = setting("the folder of images to align", word=True)
    out: Path = setting("the folder of the faces", word=True)
    detector: Path | None = setting("find faces with OpenCV and this YuNet, an .onnx file", None)
    landmarks: Path | None = setting("file of five points an image", None)
    fiducials: Path | None = setting("CFP's folder of fiducial files", None)
    crop: str | None = setting("LEFT,TOP,WIDTH,HEIGHT of a square in pixels, or lfw", None)
    size: int = setting("pixels of a face's side, 16 to 1024", 112, least=16, most=1024)
    format: Literal["jpg", "png"] = setting("jpg of quality 95, or png", "jpg")
    border: Literal["constant", "replicate", "reflect"] = setting("beyond the image: black, or its edge", "constant")
    orientation: Literal["displayed", "stored"] = setting("whether images are turned", "displayed")
    left: Literal["viewer", "subject"] | None = setting("whose left landmarks speak of; viewer", None)
    face: Literal["largest", "central"] | None = setting("of several that the detector finds; largest", None)
    min_score: float | None = setting("how sure the detector must be, 0 to 1; 0.9", None, least=0, most=1)
    profile_points: str | None = setting("lines of CFP's profile files that make eye/nose/mouth; 13-18/22/26", None)
    frontal_points: str | None = setting("likewise of its frontal files, or five groups; no default is known", None)
    workers: int | None = setting("processes; the cores, at most 8", None, least=1)
    again: bool = setting("make faces that are there already once more", False)


def run(settings: Settings) -> int:
    """The exit status, after all was aligned, written and printed."""
    summary = Summary()
    try:
        _align(settings, summary)
    except KeyboardInterrupt as interrupt:
        sentence = f"stopped after {summary.faces} faces, which are kept: run the same command again to go on"
        raise KeyboardInterrupt(sentence) from interrupt
    print(json.dumps(summary.as_json()))
    return 0 if summary.faces else 1


def _align(settings: Settings, summary: Summary) -> None:
    refuse_overlap(settings.images, settings.out)
    _refuse_early(settings)
    placer = _placer(settings)
    targets = outputs(_images(settings, placer, summary), f".{settings.format}")
    how = align.Settings(settings.size, settings.border, settings.orientation == "displayed", settings.again)
    alignment = Alignment(settings.images, settings.out, targets, placer, how)
    for outcome in align_all(alignment, settings.workers or min(available_cores(), _MOST_WORKERS)):
        summary.add(outcome)
    if summary.faces:  # otherwise the settings are wrong, and not the images
        _remove_leftovers(settings, summary, targets)
    _write(summary, settings.out, targets)
    if isinstance(placer, ListedLandmarks) and summary.is_mostly_mirrored:
        log("most faces fit better with left and right exchanged: is the list's left the subject's? Then left=subject")


def _images(settings: Settings, placer: FacePlacer, summary: Summary) -> list[str]:
    """The paths to align; those that are listed and not there are failures already."""
    paths = find_images(settings.images, settings.out)
    listed = placer.not_among(paths) if isinstance(placer, ListedLandmarks) else []
    for path in listed:
        summary.add(Outcome(path, why_not_found(settings.images, path)))
    if not paths and not listed:
        raise InputError(f"{settings.images} holds no image: give the folder of images to align")
    return paths


def _remove_leftovers(settings: Settings, summary: Summary, targets: dict[str, str]) -> None:
    failed = {failure.path for failure in summary.failures}
    made = {output for path, output in targets.items() if path not in failed}
    left = remove_leftovers(settings.out, set(targets.values()), made, folder_digest(settings.images))
    summary.removed = len(left.removed)
    if left.removed:
        example = one_line(left.removed[0])
        log(f"faces of earlier runs removed: {len(left.removed):,}, such as {example}: image gone or not aligned now")
    if left.other:
        example = one_line(left.other[0])
        log(f"faces of other folders of images in {settings.out}: {len(left.other):,}, such as {example}, which stay")


def _write(summary: Summary, out: Path, targets: dict[str, str]) -> None:
    write_failures(summary.failures, out / "failures.csv")
    if summary.faces:
        write_sheet(summary, out, targets, out / SHEET)
    if summary.failures:
        total = len(summary.failures) + summary.faces
        log(f"not aligned: {len(summary.failures):,} of {total:,} images, see {out / 'failures.csv'}")
    for reason, images in summary.reasons()[:_REASONS]:
        log(f"  {images:,}: {reason}")


def _placer(settings: Settings) -> FacePlacer:
    if settings.landmarks is not None:
        return read_landmarks(settings.landmarks, settings.images, settings.left or "viewer")
    if settings.fiducials is not None:
        frontal = None if settings.frontal_points is None else parse_lines(settings.frontal_points)
        profile = PROFILE_LINES if settings.profile_points is None else settings.profile_points
        return Fiducials(settings.fiducials, parse_lines(profile), frontal)
    if settings.crop is not None:
        return parse_crop(settings.crop)
    assert settings.detector is not None  # the one source that is left
    score = _SURE if settings.min_score is None else settings.min_score
    return FaceDetector(settings.detector, settings.face or "largest", score)


def _refuse_early(settings: Settings) -> None:
    """`InputError` unless there is one source of landmarks, and for a setting that says nothing about it."""
    given = [source for source in _OPTIONS_OF if getattr(settings, source) is not None]
    if len(given) != 1:
        raise InputError(f"give one of {', '.join(_OPTIONS_OF)}, which says where the faces are, got {len(given)}")
    for source, names in _OPTIONS_OF.items():
        for name in names if getattr(settings, source) is None else ():
            if getattr(settings, name) is not None:
                raise InputError(f"{name}= goes with {source}=, which is not given: leave it out")


main = command(Settings, run)
