"""Recognise faces in photographs: facerec recognise compare model=best.onnx a.jpg b.jpg

    facerec recognise compare model=FILE a.jpg b.jpg                      do they show the same person?
    facerec recognise embed model=FILE PHOTOS out=faces.npz               an embedding of each photograph in a folder
    facerec recognise enrol model=FILE gallery=FILE.npz person=NAME a.jpg b.jpg
    facerec recognise enrol model=FILE gallery=FILE.npz PHOTOS            ... from PHOTOS/NAME/IMAGE
    facerec recognise search model=FILE gallery=FILE.npz a.jpg            who is it?
    facerec recognise forget gallery=FILE.npz person=NAME                 remove a person from a gallery
    facerec recognise serve model=FILE [gallery=FILE.npz]                 a page to try it on, for this machine alone

model= is a checkpoint (.ckpt) or a file that facerec export wrote. detector= finds the faces: an .onnx file of YuNet,
face_detection_yunet of OpenCV's model zoo, which is not shipped. A line detector: FILE in
~/.config/facerec/settings.yaml names it once. With aligned=true, each image is an aligned face, as facerec align_faces
makes them. Photographs are turned according to their EXIF orientation, and their faces are numbered from the largest.

Two faces are of the same person if the cosine of their embeddings is above the threshold. An exported file holds the
threshold at each false match rate (fmr=); otherwise give threshold=. Embeddings are biometric data: nothing is kept but
in the file that out=, gallery= or picture= names. There is no liveness check: a printed face is a face. The last line
on standard output is JSON.
"""

import os
import sys
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image
from tqdm import tqdm

from facerec.alignment.detector import FaceDetector
from facerec.alignment.paths import find_images
from facerec.config.settings import command, setting, subcommands
from facerec.console import log
from facerec.errors import InputError, one_line
from facerec.files import replacing
from facerec.process import available_cores, importing, prepare_process, refuse_too_many
from facerec.recognise.comparison_picture import comparison_picture
from facerec.recognise.folder_embeddings import FolderEmbeddings, embed_folder
from facerec.recognise.gallery import Gallery
from facerec.recognise.recogniser import Recogniser
from facerec.recognise.user_settings import chosen_detector

_MOST_WORKERS = 8
_SHOWN = 10  # failures; the file has all of them


@dataclass
class CompareSettings:
    """compare:"""

    photos: tuple[Path, ...] = setting("two photographs", word=True)
    model: Path = setting("a checkpoint or an exported file")
    detector: Path | None = setting("an .onnx file of the YuNet detector; by default that of the settings file", None)
    face: tuple[int, ...] = setting("number of the face, 1 the largest, in both or in each: face=1,3", (1,), least=1)
    fmr: Literal["1e-2", "1e-3", "1e-4", "1e-5", "1e-6"] = setting("false match rate of the decision", "1e-3")
    threshold: float | None = setting("cosine to decide with, instead", None, least=-1, most=1)
    picture: Path | None = setting("PNG file to draw both photographs, boxes and score to", None, written=True)
    aligned: bool = setting("the images are aligned faces", False)
    min_score: float = setting("lowest score of the detector", 0.9, least=0, most=1)
    trust: bool = setting("also build classes that are not facerec's: only if you trust the file", False)


@dataclass
class EmbedSettings:
    """embed:"""

    folder: Path = setting("that contains photographs, at any depth", word=True)
    model: Path = setting("a checkpoint or an exported file")
    out: Path = setting(".npz file to write, or to continue", written=True)
    detector: Path | None = setting("as for compare", None)
    aligned: bool = setting("the images are aligned faces", False)
    min_score: float = setting("lowest score of the detector", 0.9, least=0, most=1)
    workers: int | None = setting("number of processes; by default the number of cores, at most 8", None, least=1)
    trust: bool = setting("as for compare", False)


@dataclass
class EnrolSettings:
    """enrol:"""

    interrupted = "interrupted: the gallery is as it was"

    photos: tuple[Path, ...] = setting("photographs of the person, or a folder with a folder per person", word=True)
    model: Path = setting("a checkpoint or an exported file")
    gallery: Path = setting(".npz file to write, or to add to", written=True)
    person: str | None = setting("whom the photographs show", None)
    detector: Path | None = setting("as for compare", None)
    aligned: bool = setting("the images are aligned faces", False)
    min_score: float = setting("lowest score of the detector", 0.9, least=0, most=1)
    trust: bool = setting("as for compare", False)


@dataclass
class SearchSettings:
    """search:"""

    photo: Path = setting("a photograph", word=True)
    model: Path = setting("a checkpoint or an exported file")
    gallery: Path = setting(".npz file of enrol")
    top: int = setting("people to list", 5, least=1)
    detector: Path | None = setting("as for compare", None)
    face: int = setting("number of the face, 1 the largest", 1, least=1)
    fmr: Literal["1e-2", "1e-3", "1e-4", "1e-5", "1e-6"] = setting("false match rate of each comparison", "1e-3")
    threshold: float | None = setting("cosine to decide with, instead", None, least=-1, most=1)
    aligned: bool = setting("the images are aligned faces", False)
    min_score: float = setting("lowest score of the detector", 0.9, least=0, most=1)
    trust: bool = setting("as for compare", False)


@dataclass
class ServeSettings:
    """serve:"""

    interrupted = "the page has ended"

    model: Path = setting("a checkpoint or an exported file")
    gallery: Path | None = setting(
        ".npz file of people, to write or to add to; without it nothing is kept", None, written=True
    )
    detector: Path | None = setting("as for compare", None)
    port: int = setting("of this machine's own address, 127.0.0.1", 8000, least=1, most=65535)
    open: bool = setting("open the page in the browser", False)
    aligned: bool = setting("the images are aligned faces", False)
    min_score: float = setting("lowest score of the detector", 0.9, least=0, most=1)
    trust: bool = setting("as for compare", False)


@dataclass
class ForgetSettings:
    """forget:"""

    gallery: Path = setting(".npz file of enrol", written=True)
    person: str = setting("to remove")


_WithModel = CompareSettings | EmbedSettings | EnrolSettings | SearchSettings | ServeSettings


def _opened(settings: _WithModel) -> Recogniser:
    prepare_process()
    detector = None if settings.aligned else chosen_detector(settings.detector)
    return Recogniser.open(settings.model, detector, settings.min_score, settings.trust)


def _compare(settings: CompareSettings) -> dict[str, Any]:
    if len(settings.photos) != 2:
        raise InputError(f"compare takes two photographs, got {len(settings.photos)}: name both files")
    if not 1 <= len(settings.face) <= 2:
        raise InputError(f"face= takes one number, or one for each of two photographs, got {len(settings.face)}")
    if settings.picture is not None and settings.picture.suffix != ".png":
        raise InputError(f"picture={settings.picture} is no PNG file: end its name in .png")
    recogniser = _opened(settings)
    threshold = recogniser.threshold(settings.threshold, settings.fmr)
    left, right = (recogniser.look(photo) for photo in settings.photos)
    first, *others = settings.face
    found = recogniser.compare(left, right, threshold, (first, others[0] if others else first))
    for photograph in (left, right):
        if len(photograph.faces) > 1:
            log(f"{photograph.name} shows {len(photograph.faces)} faces, numbered from the largest; face= chooses")
    log(found.sentence())
    if settings.picture is not None:
        _write_png(comparison_picture(found), settings.picture)
    return found.summary()


def _write_png(picture: np.ndarray, path: Path) -> None:
    with replacing(path) as partial:
        Image.fromarray(picture).save(partial, format="PNG")


def _embed(settings: EmbedSettings) -> dict[str, Any]:
    refuse_too_many(settings.workers or 0, "workers")
    _refuse_no_npz("out", settings.out)
    paths = find_images(settings.folder, settings.out)
    if not paths:
        raise InputError(f"{settings.folder} contains no image: give a folder of photographs")
    recogniser = _opened(settings)
    workers = settings.workers or min(available_cores(), _MOST_WORKERS)
    made_by = f"{recogniser.made_by}, {_found_by(recogniser)}, {os.path.realpath(settings.folder)}"
    embed = recogniser.network.embed
    try:
        found = embed_folder(settings.folder, paths, recogniser.finder, embed, settings.out, made_by, workers)
    except KeyboardInterrupt as interrupt:
        sentence = f"interrupted: what is done is in {settings.out}, run the same command again to continue"
        raise KeyboardInterrupt(sentence) from interrupt
    _show_failures(found.failures())
    return _of_folder(found) | {"file": str(settings.out)}


def _of_folder(found: FolderEmbeddings) -> dict[str, Any]:
    failed = len(found.failures())
    several = sum(number > 1 for number in found.faces)
    return {"embedded": len(found.paths) - failed, "failed": failed, "with_several_faces": several}


def _enrol(settings: EnrolSettings) -> dict[str, Any]:
    _refuse_no_npz("gallery", settings.gallery)
    photos = _photos_of_people(settings)
    recogniser = _opened(settings)
    gallery, failures, enrolled = recogniser.gallery(settings.gallery, may_be_new=True), {}, 0
    for person, files in tqdm(photos.items(), "enrolling", unit=" people", file=sys.stderr, delay=2):
        faces: dict[str, np.ndarray] = {}
        for file in files:
            try:
                faces[str(file)] = recogniser.embed(recogniser.look(file))
            except InputError as error:
                failures[str(file)] = str(error)
        if faces:
            gallery = gallery.with_faces(person, list(faces), np.stack(list(faces.values())))
            enrolled += len(faces)
    _show_failures(failures)
    if not enrolled:
        raise InputError(f"no face was enrolled of {len(failures)} photographs: give others")
    gallery.write(settings.gallery)
    log(f"{settings.gallery} holds {len(gallery)} faces of {len(gallery.names)} people")
    counts = {"enrolled": enrolled, "failed": len(failures), "faces": len(gallery), "people": len(gallery.names)}
    return {**counts, "gallery": str(settings.gallery)}


def _photos_of_people(settings: EnrolSettings) -> dict[str, list[Path]]:
    """Return the photographs by person: of ``person=``, or of each folder in the one that is given."""
    if settings.person is not None:
        return {settings.person: [file for photo in settings.photos for file in _files(photo, settings.gallery)]}
    root, *others = settings.photos
    if others or not root.is_dir():
        raise InputError(f"nobody knows whom {root} shows: add person=NAME, or give one folder of folders")
    people = dict[str, list[Path]]()
    for path in find_images(root, settings.gallery):
        person, slash, _ = path.partition("/")
        if slash:
            people.setdefault(person, []).append(root / path)
    if not people:
        raise InputError(f"{root} contains no folder of photographs: give NAME/IMAGE in it, or add person=NAME")
    return people


def _files(photo: Path, gallery: Path) -> list[Path]:
    return [photo / path for path in find_images(photo, gallery)] if photo.is_dir() else [photo]


def _search(settings: SearchSettings) -> dict[str, Any]:
    recogniser = _opened(settings)
    threshold = recogniser.threshold(settings.threshold, settings.fmr)
    gallery = recogniser.gallery(settings.gallery)
    if not len(gallery):
        raise InputError(f"gallery {settings.gallery} is empty: enrol somebody with facerec recognise enrol")
    found = recogniser.search(gallery, recogniser.look(settings.photo), threshold, settings.face, settings.top)
    for place, match in enumerate(found.matches, 1):
        side = "above" if match.cosine > threshold.cosine else "not above"
        log(
            f"{place}. {one_line(match.person)}: cosine {match.cosine:.4f}, {side} the threshold {threshold.cosine:.4f}"
        )
    log(found.sentence())
    return {
        "person": found.person,
        "matches": [asdict(match) for match in found.matches],
        "threshold": threshold.cosine,
        "fmr": threshold.fmr,
        "people": found.people,
    }


def _serve(settings: ServeSettings) -> None:
    if find_spec("nicegui") is None:
        raise InputError(
            "the page needs the package nicegui: add it with pip install -e '.[page]' in a checkout of facerec"
        )
    if settings.gallery is not None:
        _refuse_no_npz("gallery", settings.gallery)
    with importing():
        from facerec.recognise.trial.trial_server import serve
    recogniser = _opened(settings)
    if settings.gallery is not None:
        recogniser.gallery(settings.gallery, may_be_new=True)  # refuses another network's
    serve(recogniser, settings.gallery, settings.port, settings.open)


def _forget(settings: ForgetSettings) -> dict[str, Any]:
    gallery = Gallery.read(settings.gallery)
    if settings.person not in gallery.names:
        raise InputError(f"gallery {settings.gallery} has no {settings.person!r}: check person=")
    left = gallery.without(settings.person)
    left.write(settings.gallery)
    return {"removed": len(gallery) - len(left), "faces": len(left), "people": len(left.names)}


def _found_by(recogniser: Recogniser) -> str:
    detector = recogniser.finder.detector
    return detector.key("") if isinstance(detector, FaceDetector) else "aligned faces"


def _refuse_no_npz(key: str, path: Path) -> None:
    if path.suffix != ".npz":
        raise InputError(f"{key}={path} is no .npz file: end its name in .npz")


def _show_failures(failures: dict[str, str]) -> None:
    for path, reason in list(failures.items())[:_SHOWN]:
        log(f"no embedding of {one_line(path)}: {reason}")
    if len(failures) > _SHOWN:
        log(f"... and of {len(failures) - _SHOWN} others")


main = subcommands(
    {
        "compare": command(CompareSettings, _compare),
        "embed": command(EmbedSettings, _embed),
        "enrol": command(EnrolSettings, _enrol),
        "search": command(SearchSettings, _search),
        "forget": command(ForgetSettings, _forget),
        "serve": command(ServeSettings, _serve),
    }
)
