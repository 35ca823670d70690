"""The maps of each epoch, in a file that a resumed run goes on with."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from running import DEPTHWISE, ONE_EPOCH, THREE_EPOCHS, TVCONV, train, trained
from says import refuses, says

from facerec.backbones import MobileNetV2
from facerec.config.trained import build_trained
from facerec.operators.tvconv import TVConv
from facerec.plots.network import spatial_layers, spread
from facerec.training.callbacks.affinity_maps import AffinityMapsFile, read_maps

MAPS = "callbacks=maps"
FILE = "affinity_maps.npz"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("maps"), *TVCONV, *THREE_EPOCHS, MAPS)


def test_the_last_maps_are_those_of_the_last_checkpoint(run):
    kept = read_maps(run / FILE)
    assert kept.pop("epochs").tolist() == [0, 1, 2]
    network, _, _ = build_trained(run / "last.ckpt")
    layers = spread(spatial_layers(network), 6)
    assert list(kept) == list(layers)
    for name, layer in layers.items():
        assert kept[name].dtype == np.float16 and kept[name].shape == (3, *layer.affinity_maps.shape)[:1] + tuple(
            layer.affinity_maps.shape[1:]
        )
        np.testing.assert_array_equal(kept[name][-1], layer.affinity_maps.detach()[0].half().numpy())


def test_a_resumed_run_leaves_the_same_file(run, tmp_path):
    assert train(tmp_path, *TVCONV, *THREE_EPOCHS, MAPS, "name=part", "+trainer.max_steps=8") == 0
    (part,) = (tmp_path / "outputs" / "part").iterdir()
    assert read_maps(part / FILE)["epochs"].tolist() == [0, 1]
    (part / "results.json").unlink()
    assert train(tmp_path, *TVCONV, *THREE_EPOCHS, MAPS, "name=part", "resume=auto") == 0
    assert (part / FILE).read_bytes() == (run / FILE).read_bytes()


def test_a_network_without_maps_leaves_no_file(tmp_path):
    assert not (trained(tmp_path, *DEPTHWISE, *ONE_EPOCH, MAPS) / FILE).exists()


def test_a_damaged_file_is_refused_before_the_first_step(tmp_path):
    (tmp_path / FILE).write_bytes(b"PK nothing")
    with refuses(FILE, "damaged", "remove"):
        AffinityMapsFile(str(tmp_path / FILE)).on_fit_start(None, None)


def test_an_epoch_that_is_trained_again_replaces_its_maps(tmp_path):
    network = MobileNetV2(0.1, lambda *a, **k: TVConv(*a, **k, generator_channels=2), image_size=(16, 16))
    callback, module = AffinityMapsFile(str(tmp_path / FILE), max_layers=1), SimpleNamespace(backbone=network)
    (layer,) = spread(spatial_layers(network), 1).values()
    for epoch, value in ((0, 1.0), (1, 2.0), (1, 3.0)):
        torch.nn.init.constant_(layer.affinity_maps, value)
        callback.on_train_epoch_end(SimpleNamespace(current_epoch=epoch), module)
    kept = read_maps(tmp_path / FILE)
    assert kept.pop("epochs").tolist() == [0, 1]
    ((_, maps),) = kept.items()
    assert [float(one.mean()) for one in maps] == [1.0, 3.0]


def test_no_layers_at_all_are_refused():
    with refuses("max_layers", "1", "0"):
        AffinityMapsFile("a.npz", max_layers=0)
    assert says(AffinityMapsFile.__doc__, "float16")
