"""What is in the pictures: how many axes, curves and images, and where their points are."""

import numpy as np
import pytest
import torch
from random_weights import randomise
from says import refuses

from facerec.backbones import MobileNetV2
from facerec.errors import InputError
from facerec.operators.tvconv import TVConv
from facerec.plots.network import affinity_figure, image_grid, roc_figure, save_figure, spatial_layers, spread
from facerec.verification.verify import verify


@pytest.fixture
def results():
    generator = torch.Generator().manual_seed(0)
    is_same = np.arange(200) % 2 == 0
    left = torch.randn(200, 8, generator=generator)
    right = torch.where(torch.from_numpy(is_same)[:, None], left, 0) + torch.randn(200, 8, generator=generator)
    return {name: verify(left[:pairs], right[:pairs], is_same[:pairs]) for name, pairs in (("a", 100), ("b", 200))}


@pytest.fixture(scope="module")
def network():
    return randomise(MobileNetV2(0.1, lambda *a, **k: TVConv(*a, **k, generator_channels=2), image_size=(32, 24)))


def test_the_roc_has_a_curve_for_each_benchmark_and_one_for_chance(results):
    (axes,) = roc_figure(results).axes
    assert [line.get_label() for line in axes.get_lines()] == [
        *(f"{n}: {100 * r.accuracy:.1f} ± {100 * r.std:.1f} %, AUC {r.auc:.3f}" for n, r in results.items()),
        "chance",
    ]
    assert axes.get_xscale() == "log" and axes.get_title() == "verification, protocol tvconv"


def test_the_legend_is_outside_of_the_axes_and_says_what_its_numbers_are(results):
    figure = roc_figure(results)
    figure.draw_without_rendering()
    (legend,) = figure.legends
    assert legend.get_title().get_text() == "accuracy ± standard deviation over the folds"
    assert legend.get_window_extent().y0 >= 0
    assert legend.get_window_extent().y1 <= figure.axes[0].get_tightbbox().y0


def test_the_curves_are_those_of_the_results_down_to_one_false_accept(results):
    (axes,) = roc_figure(results).axes
    for line, result in zip(axes.get_lines(), results.values(), strict=False):
        false_accepts, true_accepts = result.roc()
        np.testing.assert_allclose(line.get_ydata(), true_accepts)
        np.testing.assert_allclose(line.get_xdata()[false_accepts > 0], false_accepts[false_accepts > 0])
        assert line.get_xdata().min() == axes.get_xlim()[0] == pytest.approx(1 / 100)
    np.testing.assert_allclose(*axes.get_lines()[-1].get_data())


def test_a_row_of_maps_for_each_layer_and_its_weights_at_the_end(network):
    figure = affinity_figure(network, max_layers=3)
    axes = np.array(figure.axes).reshape(3, 4 + 1)
    layers = list(spread(spatial_layers(network), 3).values())
    for row, layer in zip(axes, layers, strict=True):
        drawn = [cell.get_images()[0].get_array() for cell in row]
        for picture, expected in zip(drawn, layer.affinity_maps[0].detach().numpy(), strict=False):
            np.testing.assert_allclose(picture, expected)
        weight = layer.weight().detach().numpy()
        np.testing.assert_allclose(drawn[-1], np.sqrt((weight**2).mean((0, 3))), rtol=1e-5)
        height, width = drawn[0].shape
        assert f"{layer.channels} channels\n{height}x{width}, stride {layer.stride}" == row[0].get_ylabel()
    assert [cell.get_title() for cell in axes[0]] == [*(f"map {n}" for n in range(1, 5)), "weights, RMS"]


def test_layers_with_fewer_maps_leave_cells_empty():
    layers = torch.nn.Sequential(
        *(TVConv(2, 1, (3, 3), affinity_channels=maps, generator_channels=2) for maps in (3, 1))
    )
    first, second = np.array(affinity_figure(layers).axes).reshape(2, 4)
    assert [len(cell.get_images()) for cell in (*first, *second)] == [1, 1, 1, 1, 1, 1, 0, 0]


def test_a_network_without_maps_has_no_figure():
    assert affinity_figure(MobileNetV2(0.1, image_size=(16, 16))) is None


@pytest.mark.parametrize(("most", "names"), [(1, "a"), (2, "ae"), (3, "ace"), (5, "abcde"), (9, "abcde")])
def test_layers_are_chosen_from_the_first_to_the_last(most, names):
    assert "".join(spread(dict.fromkeys("abcde"), most)) == names


def test_the_grid_shows_each_image_in_its_place_and_colour():
    images = torch.full((3, 3, 4, 5), -1.0)
    images[0, 0], images[1, 1], images[2] = 1, 1, 0  # red, green, grey
    grid = image_grid(images, columns=2)
    assert grid.shape == (3, 2 * 4 + 3 * 2, 2 * 5 + 3 * 2)
    assert grid[:, 3, 3].tolist() == [1, 0, 0] and grid[:, 3, 10].tolist() == [0, 1, 0]
    assert grid[:, 9, 3].tolist() == [0.5, 0.5, 0.5]


@pytest.mark.parametrize(("suffix", "begin"), [(".png", b"\x89PNG"), (".svg", b"<?xml"), (".pdf", b"%PDF")])
def test_a_figure_is_written_in_the_format_of_its_suffix(suffix, begin, results, tmp_path):
    save_figure(roc_figure(results), tmp_path / "new" / f"roc{suffix}")
    assert (tmp_path / "new" / f"roc{suffix}").read_bytes().startswith(begin)


@pytest.mark.parametrize("name", ["roc", "roc.xyz", "roc.ckpt"])
def test_a_name_that_is_none_of_a_picture_is_refused(name, results, tmp_path):
    with refuses(name, ".png", ".svg", ".pdf", error=InputError):
        save_figure(roc_figure(results), tmp_path / name)
    assert not list(tmp_path.iterdir())
