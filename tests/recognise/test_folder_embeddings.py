"""Embeddings of a folder: continued, not repeated, and never of a photograph that has changed since."""

import numpy as np
import pytest
from drawn_photos import Knows, Placed, photo, write_photo
from says import refuses, says

from facerec.errors import InputError
from facerec.recognise.face_finder import FaceFinder
from facerec.recognise.folder_embeddings import FolderEmbeddings, embed_folder

PLACES = [Placed(person, 10 + 10 * person) for person in range(6)]
TWO = [Placed(0, side=96), Placed(1, 200)]
FINDER = FaceFinder(Knows([*((photo(place), [place]) for place in PLACES), (photo(*TWO), TWO)]), (112, 112))


class Embedder:
    """Mean colours; it counts faces, and stops a program at the ``stop_at``-th call."""

    def __init__(self, stop_at: int = 0) -> None:
        self.faces, self.calls, self.stop_at = 0, 0, stop_at

    def __call__(self, faces: np.ndarray) -> np.ndarray:
        self.calls += 1
        if self.calls == self.stop_at:
            raise KeyboardInterrupt
        self.faces += len(faces)
        return faces.mean((1, 2)).astype(np.float32)


@pytest.fixture
def folder(tmp_path):
    for place in PLACES:
        for copy in range(3):
            write_photo(tmp_path / "photos" / f"p{place.person}" / f"{copy}.png", place)
    write_photo(tmp_path / "photos" / "nobody.png")
    write_photo(tmp_path / "photos" / "two.png", *TWO)
    return tmp_path / "photos"


def embedded(folder, embed, made_by="model 1", workers=0) -> FolderEmbeddings:
    paths = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.png"))
    return embed_folder(folder, paths, FINDER, embed, folder.parent / "faces.npz", made_by, workers)


@pytest.mark.parametrize("workers", [0, 2])
def test_each_photograph_has_a_row(workers, folder):
    embed = Embedder()
    embedded(folder, embed, workers=workers)
    with np.load(folder.parent / "faces.npz") as file:
        rows = dict(zip(file["paths"].tolist(), zip(file["embeddings"], file["boxes"], file["faces"], strict=True),
            strict=True))  # fmt: skip
        reasons = dict(zip(file["paths"].tolist(), file["reasons"].tolist(), strict=True))
    assert len(rows) == 20 and embed.faces == 19 and says(reasons["nobody.png"], "no face")
    assert [path for path, reason in reasons.items() if reason] == ["nobody.png"]
    embedding, box, faces = rows["p3/1.png"]
    np.testing.assert_allclose(embedding, FINDER.align(FINDER.look(photo(PLACES[3]))).mean((0, 1)), rtol=1e-5)
    assert box.tolist() == [40, 30, 112, 112] and faces == 1
    assert np.isnan(rows["nobody.png"][0]).all() and rows["nobody.png"][2] == 0
    assert rows["two.png"][1].tolist() == [200, 30, 112, 112] and rows["two.png"][2] == 2


def test_an_interrupted_run_is_continued(folder):
    with pytest.raises(KeyboardInterrupt):
        embedded(folder, Embedder(stop_at=2))
    rest = Embedder()
    whole = embedded(folder, rest)
    assert rest.faces == 19 - 7 and len(whole.paths) == 20  # a chunk of eight, one of them nobody's
    again = Embedder()
    assert embedded(folder, again).paths == whole.paths and again.calls == 0


def test_what_has_changed_is_embedded_again_and_what_is_gone_goes(folder):
    embedded(folder, Embedder())
    (folder / "p0" / "0.png").unlink()
    write_photo(folder / "p1" / "0.png", PLACES[5])
    (folder / "nobody.png").write_bytes(b"")
    embed = Embedder()
    found = embedded(folder, embed)
    assert embed.faces == 1 and len(found.paths) == 19 and "p0/0.png" not in found.paths
    row = found.paths.index("p1/0.png")
    np.testing.assert_allclose(found.embeddings[row], FINDER.align(FINDER.look(photo(PLACES[5]))).mean((0, 1)))
    assert says(found.failures()["nobody.png"], "empty")


def test_a_file_of_something_else_is_refused_and_kept(folder):
    embedded(folder, Embedder())
    before = (folder.parent / "faces.npz").read_bytes()
    with refuses("faces.npz", "model 1", "model 2", "another file", error=InputError):
        embedded(folder, Embedder(), "model 2")
    assert (folder.parent / "faces.npz").read_bytes() == before
