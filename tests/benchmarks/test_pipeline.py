"""All loaders read the same images."""

import numpy as np
import pytest
import torch

from facerec.data.readers.folders import read_identity_folders
from facerec.data.readers.insightface import InsightFaceRecords
from facerec.perf.pipeline import TORCHVISION, cases, contenders, draw
from facerec.perf.timing import QUICK, Effort


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drawn")
    draw(folder, people=2, images=3)
    return folder


def test_folder_and_records_hold_the_same_faces(drawn):
    folder, records = read_identity_folders(drawn / "images"), InsightFaceRecords(drawn)
    assert folder.labels.tolist() == records.labels.tolist() == [0, 0, 0, 1, 1, 1]
    for index in range(6):
        np.testing.assert_array_equal(folder.load(index), records.load(index))
    assert folder.load(0).shape == (112, 112, 3)


def test_every_contender_reads_every_image(drawn):
    loaders = {name: epoch.args[0] for name, epoch in contenders(drawn, side=112).items()}
    sums = {}
    for name, loader in loaders.items():
        ((images, labels),) = list(loader)
        assert sorted(labels.tolist()) == [0, 0, 0, 1, 1, 1]
        if images.dtype == torch.uint8:
            images = images.permute(0, 3, 1, 2) / 255
        sums[name] = images.mean((1, 2, 3)).sort().values
    for name in sums:
        # Two decoders of JPEG, which round differently.
        torch.testing.assert_close(sums[name], sums[TORCHVISION], rtol=0, atol=0.002)


def test_a_case_runs_and_leaves_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    as_it_is, reduced = cases(QUICK)
    goals = {name for goal in reduced.goals for name in (goal.top, goal.bottom)}
    assert goals <= set(reduced.run().contenders)
    assert list(tmp_path.iterdir()) == []
    assert as_it_is.name.startswith("8 JPEGs of 112 x 112")


def test_the_targets_are_those_of_the_issue():
    as_it_is, reduced = cases(Effort())
    assert [(goal.top, goal.bottom, goal.target) for goal in as_it_is.goals] == [
        ("folder", TORCHVISION, 2),
        (".rec", TORCHVISION, None),
        ("cache", TORCHVISION, 20),
    ]
    assert {goal.target for goal in reduced.goals} == {None}
