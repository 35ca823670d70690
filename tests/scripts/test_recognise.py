"""From the command line: two photographs to a decision, a folder to embeddings, and galleries of people."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from drawn_photos import Placed, photo, write_photo
from image_files import write_text
from PIL import Image
from running import ROOT, as_program
from says import says
from shared_data import DETECTOR, FACES, needs_detector, needs_faces

from facerec.alignment.placement import place_points
from facerec.alignment.warp import warp
from facerec.commands.main import module_of
from facerec.config.trained import build_trained
from facerec.data.loading import normalise

pytest.importorskip("onnx")
from yunet_file import Face, write_yunet

PLACE = Placed(0, 60, 40, 128)  # where the detector finds a face in every photograph
SIZE = (300, 400)


@pytest.fixture(scope="module")
def files(depthwise_run, tmp_path_factory) -> Path:
    """A folder with a detector and a network in three files. Read it only."""
    folder = tmp_path_factory.mktemp("files")
    box = PLACE.found.box
    write_yunet(folder / "yunet.onnx", [Face(*box, PLACE.found.points)], most_brightness=300)
    (folder / "net.ckpt").write_bytes((depthwise_run / "best.ckpt").read_bytes())
    with as_program(folder):
        for format in ("safetensors", "onnx"):
            words = ["checkpoint=net.ckpt", f"format={format}", "data.num_pairs=60"]
            assert module_of("export").main(words) == 0
    return folder


@pytest.fixture
def recognise(capsys, tmp_path, files, monkeypatch):
    """Exit status, the last line's content or what was printed, and what people read; with the settings of nobody."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for person in range(3):
        for number in range(2):
            face = Placed(person, PLACE.left, PLACE.top, PLACE.side, number)
            path = tmp_path / "photos" / f"p{person}" / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(photo(face, size=SIZE)).save(path)

    def run(*words: str) -> tuple[int, dict, str]:
        capsys.readouterr()
        with as_program(tmp_path):
            status = module_of("recognise").main([word.format(files=files) for word in words])
        printed = capsys.readouterr()
        return status, json.loads(printed.out.splitlines()[-1]) if status == 0 else printed.out, printed.err

    return run


MODEL, FINDS = "model={files}/net.safetensors", "detector={files}/yunet.onnx"
ONE, SAME, OTHER = "photos/p0/0.png", "photos/p0/1.png", "photos/p1/0.png"


def embedding_by_hand(files: Path, path: Path) -> np.ndarray:
    """Of the planted face, by the checkpoint's own backbone."""
    backbone, _, _ = build_trained(files / "net.ckpt")
    image = np.asarray(Image.open(path))
    # The detector tells places in float32.
    aligned = warp(image, place_points(PLACE.found.points, image, 32).matrix, 32)
    with torch.no_grad():
        row = backbone.eval()(normalise(torch.from_numpy(aligned[None])))[0].double().numpy()
    return row / np.sqrt((row**2).sum())


@pytest.mark.parametrize("ending", ["ckpt", "safetensors", "onnx"])
def test_the_score_is_the_networks_own(ending, recognise, files, tmp_path):
    words = ["compare", "model={files}/net." + ending, FINDS, ONE, OTHER]
    status, found, said = recognise(*words, "threshold=0.5", "picture=new/seen.png")
    expected = embedding_by_hand(files, tmp_path / ONE) @ embedding_by_hand(files, tmp_path / OTHER)
    assert status == 0 and found["cosine"] == pytest.approx(expected, abs=2e-4)
    assert found["same_person"] is (found["cosine"] > 0.5) and found["faces_found"] == [1, 1]
    assert (found["fmr"] is None) is (ending == "ckpt")
    assert says(said, f"{found['cosine']:.4f}", "threshold 0.5", "never measured" if ending == "ckpt" else "synthetic")
    with Image.open(tmp_path / "new" / "seen.png") as picture:
        assert picture.size[0] >= 640


def test_the_threshold_is_the_files_own(recognise):
    _, found, _ = recognise("compare", MODEL, FINDS, ONE, SAME, "fmr=1e-2")
    assert found["fmr"] <= 0.01 and found["measured_on"] == "synthetic" and 0 <= found["fnmr"] <= 1
    status, _, said = recognise("compare", MODEL, FINDS, ONE, SAME, "fmr=1e-6")
    assert status == 1 and says(said.splitlines()[-1], "fmr=1e-6", "non-mated pairs", "threshold=")


def test_the_detector_of_the_settings_file_finds_the_same(recognise, files, tmp_path):
    words = ["compare", MODEL, ONE, SAME, "fmr=1e-2"]
    write_text(tmp_path / "config" / "facerec" / "settings.yaml", f"detector: {files / 'yunet.onnx'}\n")
    assert recognise(*words)[:2] == recognise(*words, FINDS)[:2]


def test_aligned_faces_need_no_detector(recognise, tmp_path):
    write_photo(tmp_path / "a.png", Placed(0, 0, 0))
    status, found, _ = recognise("compare", MODEL, "a.png", "a.png", "aligned=true", "fmr=1e-2")
    assert status == 0 and found["cosine"] == pytest.approx(1, abs=1e-5)


def test_a_folder_is_embedded_once(recognise, files, tmp_path):
    words = ["embed", MODEL, FINDS, "photos", "out=faces.npz", "workers=1"]
    (tmp_path / "photos" / "bad.jpg").write_bytes(b"no photograph")
    status, found, said = recognise(*words)
    assert status == 0 and found == {"embedded": 6, "failed": 1, "with_several_faces": 0, "file": "faces.npz"}
    assert says(said, "bad.jpg", "cannot be decoded")
    with np.load(tmp_path / "faces.npz") as kept:
        row = kept["embeddings"][kept["paths"].tolist().index("p1/0.png")]
    np.testing.assert_allclose(row, embedding_by_hand(files, tmp_path / OTHER), atol=1e-4)
    before = (tmp_path / "faces.npz").stat().st_mtime_ns
    assert recognise(*words)[1] == found and (tmp_path / "faces.npz").stat().st_mtime_ns == before


def test_a_gallery_finds_its_people_and_nobody_else(recognise, tmp_path):
    (tmp_path / "photos" / "p2").rename(tmp_path / "others")
    status, found, _ = recognise("enrol", MODEL, FINDS, "gallery=g.npz", "photos")
    assert status == 0 and (found["enrolled"], found["people"]) == (4, 2)
    status, found, _ = recognise("enrol", MODEL, FINDS, "gallery=g.npz", "person=Zoë", "others/0.png")
    assert status == 0 and (found["enrolled"], found["people"], found["faces"]) == (1, 3, 5)
    words = ["search", MODEL, FINDS, "gallery=g.npz", ONE]
    status, found, said = recognise(*words, "fmr=1e-2", "top=2")
    assert status == 0 and found["person"] == "p0" and len(found["matches"]) == 2
    assert found["matches"][0]["cosine"] == pytest.approx(1, abs=1e-5) and says(said, "1. p0", "2. ", "threshold")
    status, found, said = recognise(*words, "threshold=1")
    assert status == 0 and found["person"] is None and says(said, "nobody", "3 people")
    # The network of another file, of the same weights, is the same network.
    assert recognise("search", "model={files}/net.ckpt", FINDS, "gallery=g.npz", ONE, "threshold=0.9")[0] == 0
    status, found, _ = recognise("forget", "gallery=g.npz", "person=Zoë")
    assert status == 0 and found == {"removed": 1, "faces": 4, "people": 2}
    status, _, said = recognise("forget", "gallery=g.npz", "person=Zoë")
    assert status == 1 and says(said, "g.npz", "Zoë")


def test_a_gallery_of_another_network_is_refused(recognise, tvconv_run, tmp_path):
    recognise("enrol", MODEL, FINDS, "gallery=g.npz", "photos")
    other = f"model={tvconv_run / 'best.ckpt'}"
    before = (tmp_path / "g.npz").read_bytes()
    for words in (["search", ONE, "threshold=0.5"], ["enrol", "photos"]):
        status, _, said = recognise(*words, other, FINDS, "gallery=g.npz")
        assert status == 1 and says(said.splitlines()[-1], "g.npz", "different models", "cannot be compared")
    assert (tmp_path / "g.npz").read_bytes() == before


@pytest.mark.parametrize(
    ("words", "facts"),
    [
        (["compare", MODEL, FINDS, ONE], ("two photographs", "got 1")),
        (["compare", MODEL, ONE, SAME], ("detector=FILE", "settings.yaml")),
        (["compare", MODEL, FINDS, ONE, "gone.jpg"], ("gone.jpg", "No such file")),
        (["compare", MODEL, FINDS, ONE, SAME, "face=1,2,3"], ("face=", "got 3")),
        (["compare", MODEL, FINDS, ONE, SAME, "face=2", "fmr=1e-2"], ("1 face", "face=2")),
        (["compare", MODEL, FINDS, ONE, SAME, "picture=a.jpg"], ("a.jpg", ".png")),
        (["compare", "model={files}/net.ckpt", FINDS, ONE, SAME], ("net.ckpt", "facerec export", "threshold=")),
        (["compare", MODEL, "detector=photos", ONE, SAME], ("photos", "is a folder")),
        (["compare", "model=photos/p0/0.png", FINDS, ONE, SAME], ("0.png", "unknown ending")),
        (["embed", MODEL, FINDS, "photos", "out=faces.txt"], ("out=faces.txt", ".npz")),
        (["embed", MODEL, FINDS, "empty", "out=faces.npz"], ("empty", "no image")),
        (["enrol", MODEL, FINDS, "gallery=g.npz", ONE], ("photos/p0/0.png", "person=NAME")),
        (["enrol", MODEL, FINDS, "gallery=g.npz", "photos/p0"], ("photos/p0", "person=NAME")),
        (["enrol", MODEL, FINDS, "gallery=g.npz", "person=a", "dark.png"], ("no face was enrolled", "1 photograph")),
        (["search", MODEL, FINDS, "gallery=g.npz", ONE, "fmr=1e-2"], ("g.npz", "does not exist", "enrol")),
        (["search", MODEL, FINDS, "gallery=empty.npz", ONE, "fmr=1e-2"], ("empty.npz", "empty", "enrol")),
        (["serch", MODEL], ("compare, embed, enrol, search, forget, serve", "'serch'")),
    ],
)
def test_a_mistake_is_one_sentence_and_status_1(words, facts, recognise, files, tmp_path):
    from facerec.recognise.face_network import open_face_network
    from facerec.recognise.gallery import Gallery

    (tmp_path / "empty").mkdir()
    (tmp_path / "dark.png").write_bytes(b"")
    Gallery.empty(f"model {open_face_network(files / 'net.ckpt').digest}").write(tmp_path / "empty.npz")
    before = sorted(tmp_path.rglob("*"))
    status, printed, said = recognise(*words)
    assert (status, printed) == (1, "") and says(said.splitlines()[-1], *facts), said
    assert sorted(tmp_path.rglob("*")) == before


def test_the_five_lines_of_the_pages_run(recognise, files, tmp_path, monkeypatch, capsys):
    pages = [(ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "docs/recognise.md")]
    programs = [re.findall(r"```python\n(from facerec\.recognise.*?)```", page, re.DOTALL) for page in pages]
    assert programs[0] == programs[1] and len(programs[0]) == 1
    (program,) = programs[0]
    for name, path in {"best.onnx": files / "net.onnx", "yunet.onnx": files / "yunet.onnx"}.items():
        (tmp_path / name).write_bytes(path.read_bytes())
    for name, path in {"a.jpg": ONE, "b.jpg": SAME}.items():
        (tmp_path / name).write_bytes((tmp_path / path).read_bytes())
    monkeypatch.chdir(tmp_path)
    capsys.readouterr()
    exec(compile(program, "recognise.md", "exec"), {})
    printed = capsys.readouterr().out
    _, found, _ = recognise("compare", MODEL, FINDS, ONE, SAME, "fmr=1e-2")
    assert says(printed, f"{found['cosine']:.4f}", str(found["same_person"]))


@pytest.mark.parametrize("size", [[10**9, 10**9], [0, 32], [32], "32", None])
def test_a_file_that_says_nonsense_about_its_images_is_refused(size, recognise, files, tmp_path):
    import onnx

    model = onnx.load(files / "net.onnx")
    said = {entry.key: entry.value for entry in model.metadata_props if entry.key != "facerec.sha256"}
    config = json.loads(said["config"])
    config["data"]["image_size"] = size
    onnx.helper.set_model_props(model, said | {"config": json.dumps(config)})
    onnx.save(model, tmp_path / "odd.onnx")
    status, _, said = recognise("compare", "model=odd.onnx", FINDS, ONE, SAME, "fmr=1e-2")
    assert status == 1 and says(said.splitlines()[-1], "odd.onnx", "images", "facerec export")


@needs_detector
@needs_faces
def test_real_faces_are_found_by_a_real_detector(recognise, tmp_path):
    people = sorted(path for path in (FACES / "celeba").iterdir())[:2]
    for number, person in enumerate(people):
        for copy, path in enumerate(sorted(person.iterdir())[:2]):
            (tmp_path / "real" / str(number)).mkdir(parents=True, exist_ok=True)
            Image.open(path).save(tmp_path / "real" / str(number) / f"{copy}.png")
    status, found, _ = recognise("embed", MODEL, f"detector={DETECTOR}", "real", "out=faces.npz", "workers=1")
    assert status == 0 and (found["embedded"], found["failed"]) == (4, 0)
    with np.load(tmp_path / "faces.npz") as kept:
        # The images are aligned: eyes, nose and mouth are where the template has them.
        eyes = kept["points"][:, :2].mean((0, 1))
    assert np.abs(eyes - [55.9, 51.6]).max() < 6
