"""Two photographs to a decision, with the error rates that go with it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from facerec.alignment.detector import FaceDetector
from facerec.errors import InputError, one_line
from facerec.recognise.face_finder import Detector, FaceFinder, Photograph
from facerec.recognise.face_network import FaceNetwork, open_face_network
from facerec.recognise.gallery import Gallery, Match
from facerec.verification.error_rates import ErrorRates

SURE = 0.9  # lowest score of a face that the detector found
DEFAULT_FMR = "1e-3"


@dataclass(frozen=True)
class Threshold:
    """The cosine above which two faces are of the same person.

    Attributes:
        cosine: the threshold.
        fmr: the fraction of pairs of two people that are accepted; None if it was never measured.
        fnmr: the fraction of pairs of one person that are not accepted; None if it was never measured.
        rates: both rates at other thresholds; None if they were never measured.
    """

    cosine: float
    fmr: float | None = None
    fnmr: float | None = None
    rates: ErrorRates | None = None

    def sentence(self) -> str:
        """Return what the threshold means, as a clause."""
        if self.rates is None or self.fmr is None or self.fnmr is None:
            return "how often it errs was never measured"
        on, fmr = self.rates.chosen_on, rate_in_words(self.fmr, self.rates.chosen_on["non_mated_pairs"])
        return (
            f"on {on['name']}, {fmr} of the pairs of two people is accepted at it (FMR), and {100 * self.fnmr:.2f} % "
            "of the pairs of one person is not (FNMR)"
        )


@dataclass(frozen=True)
class Comparison:
    """What came out of the comparison of two faces.

    Attributes:
        photographs: the two.
        faces: the number of the face in each.
        cosine: of the two embeddings, -1 to 1.
        threshold: what it was compared with.
    """

    photographs: tuple[Photograph, Photograph]
    faces: tuple[int, int]
    cosine: float
    threshold: Threshold

    @property
    def same_person(self) -> bool:
        """Whether the cosine is above the threshold."""
        return self.cosine > self.threshold.cosine

    @property
    def squared_distance(self) -> float:
        """Of the embeddings, which have length 1."""
        return 2 - 2 * self.cosine

    @property
    def fmr_of_cosine(self) -> float | None:
        """The fraction of pairs of two people that are as similar as these two; None if it was never measured."""
        return None if self.threshold.rates is None else self.threshold.rates.at(self.cosine)[0]

    def sentence(self) -> str:
        """Return the decision with its reasons, in one sentence."""
        decision, side = ("the same person", "above") if self.same_person else ("not the same person", "not above")
        scores = f"the cosine {self.cosine:.4f} (squared distance {self.squared_distance:.4f})"
        said = f"{decision}: {scores} is {side} the threshold {self.threshold.cosine:.4f}; {self.threshold.sentence()}"
        if self.threshold.rates is None or self.fmr_of_cosine is None:
            return said
        as_similar = rate_in_words(self.fmr_of_cosine, self.threshold.rates.chosen_on["non_mated_pairs"])
        return f"{said}; {as_similar} of the pairs of two people there is as similar as these two faces, or more"

    def summary(self) -> dict[str, object]:
        """Return the comparison for `json.dump`."""
        rates = self.threshold.rates
        return {
            "photographs": [photograph.name for photograph in self.photographs],
            "faces_found": [len(photograph.faces) for photograph in self.photographs],
            "faces_compared": list(self.faces),
            "cosine": self.cosine,
            "squared_distance": self.squared_distance,
            "threshold": self.threshold.cosine,
            "same_person": self.same_person,
            "fmr": self.threshold.fmr,
            "fnmr": self.threshold.fnmr,
            "fmr_of_cosine": self.fmr_of_cosine,
            "measured_on": None if rates is None else rates.chosen_on["name"],
        }


@dataclass(frozen=True)
class Finding:
    """What came out of the search for a face in a gallery.

    Attributes:
        matches: the most similar people, the most similar one first.
        people: their number in the gallery.
        threshold: what the cosines are compared with.
    """

    matches: list[Match]
    people: int
    threshold: Threshold

    @property
    def person(self) -> str | None:
        """The most similar one, if the cosine is above the threshold."""
        return self.matches[0].person if self.matches[0].cosine > self.threshold.cosine else None

    def reasons(self) -> str:
        """Return how sure the answer is, as a clause."""
        nobody = "" if self.person else f"none of {self.people} people is above the threshold; "
        if self.threshold.fmr is None:
            return nobody + self.threshold.sentence()
        often = 1 - (1 - self.threshold.fmr) ** self.people
        return f"{nobody}about {100 * often:.2g} % of the searches for somebody who is not in the gallery find a person"

    def sentence(self) -> str:
        """Return who it is, or nobody, and how sure that is."""
        return f"{one_line(self.person)}; {self.reasons()}" if self.person else f"nobody: {self.reasons()}"


def rate_in_words(rate: float, pairs: int) -> str:
    """Return a rate that was measured on so many pairs in words."""
    if rate < 1 / pairs:
        return f"less than 1 in {pairs:,}"
    return f"{100 * rate:.1f} %" if rate >= 0.01 else f"1 in {round(1 / rate):,}"


class Recogniser:
    """Compares faces in photographs. It writes no file, and keeps no image and no embedding.

    Args:
        network: embeds aligned faces.
        detector: finds faces; None if every image is an aligned face.
    """

    def __init__(self, network: FaceNetwork, detector: Detector | None = None) -> None:
        self.network = network
        self.finder = FaceFinder(detector, network.image_size)

    @classmethod
    def open(
        cls, model: Path | str, detector: Path | str | None = None, min_score: float = SURE, trust: bool = False
    ) -> "Recogniser":
        """Open the files of a network and of a detector.

        Args:
            model: a checkpoint (.ckpt) or a file that ``facerec export`` wrote.
            detector: an .onnx file of the YuNet detector; None if every image is an aligned face.
            min_score: faces with a lower score of the detector, 0 to 1, are ignored.
            trust: whether classes are built that are not facerec's.
        """
        finds = None if detector is None else FaceDetector(Path(detector), min_score=min_score)
        return cls(open_face_network(Path(model), trust), finds)

    def look(self, photo: Path | str | bytes | np.ndarray, name: str = "the photograph") -> Photograph:
        """Return the photograph with the faces that are found in it: of a file, of the bytes of one, or of an uint8 RGB
        image ``(H, W, 3)``."""
        return self.finder.look(photo, name)

    def embed(self, photograph: Photograph, face: int = 1) -> np.ndarray:
        """Return the embedding of a face, by its number, float32 ``(D,)`` of length 1; `InputError` without it."""
        return self.network.embed(self.finder.align(photograph, face)[None])[0]

    def threshold(self, cosine: float | None = None, fmr: str = DEFAULT_FMR) -> Threshold:
        """Return the threshold ``cosine``, or else the one that has the ``fmr``, with its error rates.

        Raises `InputError` if there is none at the ``fmr``.
        """
        rates = self.network.rates
        if isinstance(rates, str):
            if cosine is None:
                raise InputError(f"model {self.network.name} has no threshold, since {rates}: give threshold=COSINE")
            return Threshold(cosine)
        if cosine is not None:
            return Threshold(cosine, *rates.at(cosine), rates)
        try:
            chosen = rates.threshold(fmr)
        except ValueError as error:
            reason = str(error).partition(":")[0]
            raise InputError(
                f"model {self.network.name} has no threshold at fmr={fmr} ({reason}): take a higher fmr= or give "
                "threshold=COSINE"
            ) from error
        return Threshold(chosen, float(rates.at_fmr[fmr]["fmr"]), float(rates.at_fmr[fmr]["fnmr"]), rates)

    def compare(
        self,
        one: Photograph | Path | str | np.ndarray,
        other: Photograph | Path | str | np.ndarray,
        threshold: Threshold | None = None,
        faces: tuple[int, int] = (1, 1),
    ) -> Comparison:
        """Compare a face of one photograph with a face of another one.

        Args:
            one: what `look` takes or returns.
            other: the same.
            threshold: of the decision; by default the one at an FMR of 1e-3.
            faces: the number of the face in each, 1 for the largest.

        Raises:
            InputError: there is no such face, or no threshold.
        """
        threshold = threshold or self.threshold()
        photographs = self._looked_at(one), self._looked_at(other)
        left, right = (self.embed(photo, face) for photo, face in zip(photographs, faces, strict=True))
        return Comparison(photographs, faces, float(np.clip(left @ right, -1, 1)), threshold)

    @property
    def made_by(self) -> str:
        """Names the network in files of embeddings."""
        return f"model {self.network.digest}"

    def gallery(self, path: Path, may_be_new: bool = False) -> Gallery:
        """Read a gallery; `InputError` if it is another network's, or is missing and may not be new."""
        if may_be_new and not path.exists():
            return Gallery.empty(self.made_by)
        if not path.exists():
            raise InputError(f"gallery {path} does not exist: make it with facerec recognise enrol")
        return Gallery.read(path, self.made_by)

    def search(
        self, gallery: Gallery, photograph: Photograph, threshold: Threshold, face: int = 1, top: int = 5
    ) -> Finding:
        """Return the ``top`` people in the gallery for a face of a photograph; `InputError` if the gallery is empty."""
        if not len(gallery):
            raise InputError("the gallery is empty: enrol somebody first, with facerec recognise enrol for example")
        matches = gallery.search(self.embed(photograph, face)[None], top)[0]
        return Finding(matches, len(gallery.names), threshold)

    def _looked_at(self, photo: Photograph | Path | str | np.ndarray) -> Photograph:
        return photo if isinstance(photo, Photograph) else self.look(photo)
