import json
import pickle

import numpy as np
import pytest
from image_files import BLUE, GREEN, RED, plain, write_image, write_text
from recordio_writer import png
from says import says
from scipy.io import savemat
from shared_data import FACES, INSIGHTFACE, needs_faces, needs_insightface

from facerec.commands.main import module_of
from facerec.data.official import layout
from facerec.data.readers.folders import read_pairs


@pytest.fixture
def prepare(capsys, tmp_path):
    def run(form, *arguments, root=True):
        options = [str(argument) for argument in arguments]
        options += [f"root={tmp_path / 'data'}"] if root else []
        status = module_of("prepare_benchmark").main([form, *options])
        out, err = capsys.readouterr()
        return status, json.loads(out) if out else None, err

    return run


@pytest.fixture
def images(tmp_path):
    for path, colour in {"Ann/Ann_0001.png": RED, "Ann/Ann_0002.png": GREEN, "Bob/Bob_0001.png": BLUE}.items():
        write_image(tmp_path / "images" / path, plain(colour))
        write_image(tmp_path / "flat" / path.split("/")[1], plain(colour))
    return tmp_path / "images"


def colours(root, name, pair):
    found = read_pairs(root, name)
    return [tuple(found.images.load(side[pair])[0, 0].tolist()) for side in (found.left, found.right)]


def test_lfw(prepare, images, tmp_path):
    write_text(tmp_path / "pairs.txt", "10\t1\n" + 10 * "Ann\t1\t2\nAnn\t2\tBob\t1\n")
    status, summary, err = prepare("lfw", f"images={images}", f"pairs={tmp_path / 'pairs.txt'}")
    assert (status, summary["pairs"], summary["images"], summary["linked"]) == (0, 20, 3, 3)
    assert says(err, "lfw: ", "20 pairs", "3 images", f"{tmp_path}/data/lfw/lfw", "3 linked", "0 copied")
    assert read_pairs(tmp_path / "data", "lfw").is_same.tolist() == 10 * [True, False]
    assert colours(tmp_path / "data", "lfw", 1) == [GREEN, BLUE]


@pytest.mark.parametrize("name", ["calfw", "cplfw"])
def test_calfw_and_cplfw(prepare, images, tmp_path, name):
    same = "".join(f"Ann_0001.jpg {n}\nAnn_0002.jpg {n}\n" for n in (range(1, 11) if name == "calfw" else 10 * [1]))
    write_text(tmp_path / "pairs.txt", same + 10 * "Ann_0002.jpg 0\nBob_0001.jpg 0\n")
    assert prepare(name, f"images={tmp_path / 'flat'}", f"pairs={tmp_path / 'pairs.txt'}")[0] == 0
    assert read_pairs(tmp_path / "data", name).is_same.tolist() == 10 * [True, False]
    assert colours(tmp_path / "data", name, 1) == [GREEN, BLUE]


def test_a_sorted_benchmark_is_dealt_into_another_without_copies(prepare, images, tmp_path):
    root, paths = tmp_path / "data", ("Ann/Ann_0001.png", "Ann/Ann_0002.png", "Bob/Bob_0001.png")
    same, different = f"{paths[0]} {paths[1]} 1\n", f"{paths[0]} {paths[2]} -1\n"
    write_text(root / "own/own_pair.txt", 30 * same + 20 * different)
    images.rename(root / "own/own")
    arguments = [f"images={root}/own/own", f"pairs={root}/own/own_pair.txt", "name=dealt"]
    assert says(prepare("list", *arguments)[2], "fold 1", "one kind", "deal=true")
    status, summary, _ = prepare("list", *arguments, "deal=true")
    assert (status, summary["pairs"], summary["copied"]) == (0, 50, 0)
    assert read_pairs(root, "dealt").is_same.tolist() == 10 * [True, True, True, False, False]


def test_agedb_30_from_both_forms(prepare, images, tmp_path):
    names = np.empty((2, 2), object)
    names[:] = [[{"name": "Ann_0001"}, {"name": "Ann_0002"}], [{"name": "Ann_0002"}, {"name": "Bob_0001"}]]
    splits = np.empty((10, 1), object)
    splits[:, 0] = [{"pairs": names, "answers": [[1.0, -1.0]]}] * 10
    savemat(tmp_path / "protocol.mat", {"splits": splits})
    write_text(tmp_path / "pairs.txt", 10 * "Ann_0001.jpg Ann_0002.jpg 1\nAnn_0002.jpg Bob_0001.jpg 0\n")
    for file, name in (("protocol.mat", "agedb_30"), ("pairs.txt", "other")):
        options = [f"images={tmp_path / 'flat'}", f"pairs={tmp_path / file}", f"name={name}"]
        assert prepare("agedb_30", *options)[0] == 0
        assert read_pairs(tmp_path / "data", name).is_same.tolist() == 10 * [True, False]
        assert colours(tmp_path / "data", name, 1) == [GREEN, BLUE]


def test_own_pairs_with_spaces_and_other_letters(prepare, images, tmp_path):
    (images / "Ann").rename(images / "Ånn B")
    same, different = "Ånn B/Ann_0001.png\tÅnn B/Ann_0002.png\t1\n", "Ånn B/Ann_0001.png\tBob/Bob_0001.png\t0\n"
    write_text(tmp_path / "own.txt", 10 * (same + different))
    assert prepare("list", f"images={images}", f"pairs={tmp_path / 'own.txt'}", "name=own")[0] == 0
    assert colours(tmp_path / "data", "own", 0) == [RED, GREEN]


@needs_faces
def test_cfp_shares_its_images_and_both_lists_are_the_truth_byte_for_byte(prepare, tmp_path):
    options = [f"images={FACES / 'cfp_ff/cfp_ff'}", f"protocol={FACES / 'cfp_protocol'}", "link=symbolic"]
    assert prepare("cfp_ff", *options)[1]["images"] == 7000
    status, summary, _ = prepare("cfp_fp", *options)
    assert (status, summary["folder"], summary["linked"]) == (0, str(tmp_path / "data/cfp_ff/cfp_ff"), 0)
    assert [path.name for path in (tmp_path / "data/cfp_fp").iterdir()] == ["cfp_fp_pair.txt"]
    for name in ("cfp_ff", "cfp_fp"):
        path = f"{name}/{name}_pair.txt"
        assert (tmp_path / "data" / path).read_bytes() == (FACES / path).read_bytes()
        assert len(read_pairs(tmp_path / "data", name)) == 7000


def test_a_folder_that_is_not_the_protocol_of_cfp_is_named_with_its_option(prepare, images, tmp_path):
    status, _, err = prepare("cfp_ff", f"images={images}", f"protocol={tmp_path}")
    assert status == 1 and says(err, "/Pair_list_F.txt", "No such file or directory", "CFP", "protocol=FOLDER")


def test_a_bin_and_back(prepare, tmp_path):
    content = ([png(0), png(1), png(2), png(0)], [True, False])
    (tmp_path / "lfw.bin").write_bytes(pickle.dumps(content))
    assert prepare("bin", tmp_path / "lfw.bin", "name=small")[1]["pairs"] == 2
    status, summary, _ = prepare("to-bin", "name=small", f"out={tmp_path / 'back.bin'}")
    assert (status, summary["pairs"]) == (0, 2)
    assert pickle.loads((tmp_path / "back.bin").read_bytes()) == content
    status, _, err = prepare("to-bin", "name=small", f"out={tmp_path / 'back.bin'}")
    assert status == 1 and says(err, f"{tmp_path}/back.bin", "remove it", "out=FILE")


@needs_insightface
def test_the_sample_of_insightface(prepare, tmp_path):
    assert prepare("bin", INSIGHTFACE / "lfw_sample.bin")[1]["pairs"] == 160
    assert len(read_pairs(tmp_path / "data", "lfw_sample")) == 160


def test_a_bad_list_is_one_sentence_and_nothing_is_written(prepare, images, tmp_path):
    write_text(tmp_path / "pairs.txt", "10\t2\nAnn\t1\t2\nAnn\t2\tBob\t1\n")
    status, summary, err = prepare("lfw", f"images={images}", f"pairs={tmp_path / 'pairs.txt'}")
    assert (status, summary) == (1, None) and says(err, "line 3", f"{tmp_path}/pairs.txt")
    assert len(err.splitlines()) == 1 and not (tmp_path / "data").exists()


def test_an_interruption_is_one_sentence_and_nothing_is_left(prepare, images, tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    write_text(tmp_path / "pairs.txt", "10\t1\n" + 10 * "Ann\t1\t2\nAnn\t2\tBob\t1\n")
    monkeypatch.setattr(layout, "place_images", interrupted)
    status, _, err = prepare("lfw", f"images={images}", f"pairs={tmp_path / 'pairs.txt'}")
    assert status == 130 and says(err, "interrupted", "nothing") and not list((tmp_path / "data").iterdir())
