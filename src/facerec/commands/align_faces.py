"""Align faces: each image in IMAGES becomes a face of 112 x 112 pixels in OUT, with eyes, nose and mouth at fixed
positions

    facerec align_faces PHOTOS OUT detector=face_detection_yunet_2026may.onnx
    facerec align_faces IMAGES OUT landmarks=POINTS.csv
    facerec align_faces cfp-dataset/Data/Images OUT fiducials=cfp-dataset/Data/Fiducials
    facerec align_faces lfw-deepfunneled OUT crop=lfw

Relative paths are kept: PHOTOS/PERSON/IMAGE becomes OUT/PERSON/IMAGE. With OUT=faces/train, facerec train data=folder
data.root=faces trains on the faces. A second run aligns images that are new or have changed, and removes faces of
earlier runs whose image is gone or can no longer be aligned, so one run must cover all of IMAGES. OUT/failures.csv
lists the images that could not be aligned, with reasons; OUT/contact_sheet.png shows a sample of the faces and those
whose landmarks fit worst.

Images are rotated according to their EXIF orientation, as in OpenCV's imread, browsers and labelling tools. With
orientation=stored they are not, as in Pillow: the landmarks then refer to the pixels as stored in the file.

Landmarks are a CSV with a header (path, left_eye_x, left_eye_y, right_eye_x, ... nose, left_mouth, right_mouth, in any
order, empty cells for hidden points), lines PATH X1 Y1 ... X5 Y5, or CelebA's list_landmarks_celeba.txt. Paths are
relative to IMAGES; a line that begins with # is a comment. CFP's profiles show half a face and are aligned by its eye,
nose and corner of the mouth.

The last line on standard output is JSON: aligned, skipped (existing faces), failed, removed, mean and largest residual
(root mean square distance of a face's landmarks from the template, in pixels of the result). Exit status 1 when the
input is wrong or there is no face at all.
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
from facerec.process import available_cores, refuse_too_many

_MOST_WORKERS = 8
_SURE = 0.9  # lowest score of a face that the detector found
_REASONS = 5  # number of reasons shown; failures.csv has all of them
_OPTIONS_OF = {
    "landmarks": ("left",),
    "detector": ("face", "min_score"),
    "fiducials": ("profile_points", "frontal_points"),
    "crop": (),
}


@dataclass
class Settings:
    """Settings; exactly one of detector, landmarks, fiducials and crop is needed to locate the faces:"""

    images: Path = setting("the folder of images to align", word=True)
    out: Path = setting("the folder for the faces", word=True, written="folder")
    detector: Path | None = setting("an .onnx file of the YuNet detector, which OpenCV runs", None)
    landmarks: Path | None = setting("file with five points per image", None)
    fiducials: Path | None = setting("CFP's folder of fiducial files", None)
    crop: str | None = setting("LEFT,TOP,WIDTH,HEIGHT of a square in pixels, or lfw", None)
    size: int = setting("side of a face in pixels, 16 to 1024", 112, least=16, most=1024)
    format: Literal["jpg", "png"] = setting("JPEG of quality 95, or PNG", "jpg")
    border: Literal["constant", "replicate", "reflect"] = setting(
        "pixels outside the image: black, or from its edge", "constant"
    )
    orientation: Literal["displayed", "stored"] = setting("whether images are rotated by EXIF", "displayed")
    left: Literal["viewer", "subject"] | None = setting(
        "whose left the landmarks refer to; by default the viewer's", None
    )
    face: Literal["largest", "central"] | None = setting(
        "which of several detected faces; by default the largest", None
    )
    min_score: float | None = setting("lowest score of the detector, 0 to 1; by default 0.9", None, least=0, most=1)
    profile_points: str | None = setting(
        "lines of CFP's profile files for eye/nose/mouth; by default 13-18/22/26", None
    )
    frontal_points: str | None = setting("the same for its frontal files, or five groups; there is no default", None)
    workers: int | None = setting("number of processes; by default the number of cores, at most 8", None, least=1)
    again: bool = setting("align images again whose faces exist", False)


def run(settings: Settings) -> int:
    """Align the images, write the files and print the counts; returns the exit status."""
    summary = Summary()
    try:
        _align(settings, summary)
    except KeyboardInterrupt as interrupt:
        sentence = f"interrupted after {summary.faces} faces, which are kept: run the same command again to continue"
        raise KeyboardInterrupt(sentence) from interrupt
    print(json.dumps(summary.as_json()))
    return 0 if summary.faces else 1


def _align(settings: Settings, summary: Summary) -> None:
    refuse_too_many(settings.workers or 0, "workers")
    refuse_overlap(settings.images, settings.out)
    _refuse_early(settings)
    placer = _placer(settings)
    targets = outputs(_images(settings, placer, summary), f".{settings.format}")
    how = align.Settings(settings.size, settings.border, settings.orientation == "displayed", settings.again)
    alignment = Alignment(settings.images, settings.out, targets, placer, how)
    for outcome in align_all(alignment, settings.workers or min(available_cores(), _MOST_WORKERS)):
        summary.add(outcome)
    if summary.faces:  # otherwise the settings are wrong rather than the images
        _remove_leftovers(settings, summary, targets)
    _write(summary, settings.out, targets)
    if isinstance(placer, ListedLandmarks) and summary.is_mostly_mirrored:
        log(
            "most faces fit better with left and right exchanged: if the list's left is the subject's, add left=subject"
        )


def _images(settings: Settings, placer: FacePlacer, summary: Summary) -> list[str]:
    """Return the paths to align; listed images that are not among them are added to ``summary`` as failures."""
    paths = find_images(settings.images, settings.out)
    listed = placer.not_among(paths) if isinstance(placer, ListedLandmarks) else []
    for path in listed:
        summary.add(Outcome(path, why_not_found(settings.images, path)))
    if not paths and not listed:
        raise InputError(f"{settings.images} contains no image: give the folder of images to align")
    return paths


def _remove_leftovers(settings: Settings, summary: Summary, targets: dict[str, str]) -> None:
    failed = {failure.path for failure in summary.failures}
    made = {output for path, output in targets.items() if path not in failed}
    left = remove_leftovers(settings.out, set(targets.values()), made, folder_digest(settings.images))
    summary.removed = len(left.removed)
    if left.removed:
        example = one_line(left.removed[0])
        log(f"removed {len(left.removed):,} faces of earlier runs, such as {example}: image gone or no longer aligned")
    if left.other:
        example = one_line(left.other[0])
        log(f"{settings.out} also has {len(left.other):,} faces of other folders, such as {example}: they are kept")


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
    assert settings.detector is not None  # the only remaining source
    score = _SURE if settings.min_score is None else settings.min_score
    return FaceDetector(settings.detector, settings.face or "largest", score)


def _refuse_early(settings: Settings) -> None:
    """Raise `InputError` unless there is exactly one source of landmarks, and for a setting of another source."""
    given = [source for source in _OPTIONS_OF if getattr(settings, source) is not None]
    if len(given) != 1:
        raise InputError(f"give one of {', '.join(_OPTIONS_OF)}, to locate the faces, got {len(given)}")
    for source, names in _OPTIONS_OF.items():
        for name in names if getattr(settings, source) is None else ():
            if getattr(settings, name) is not None:
                raise InputError(f"{name}= belongs to {source}=, which is not given: leave it out")


main = command(Settings, run)
