"""The parts of the page about a sweep, each against a naive computation."""

import base64
import io
import re
from html.parser import HTMLParser
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from says import refuses
from scipy.stats import norm
from sweep_files import write_sweep

from facerec.errors import InputError
from facerec.pages.dot_labels import Area, label_boxes
from facerec.pages.inline_images import map_image
from facerec.pages.markup import Html, element
from facerec.pages.scales import linear, logarithmic, normal_deviate
from facerec.pages.svg_plot import Axis, Dot, Line, plot
from facerec.runs.comparable import compare_alike
from facerec.runs.comparing import baseline_of, compare_groups, group_runs
from facerec.runs.hardest_pairs import hardest_pairs
from facerec.runs.learning_curves import learning_curves
from facerec.runs.pareto import Point, pareto_front
from facerec.runs.report import find_runs
from facerec.runs.run_names import varied_settings
from facerec.runs.sweep import cells_of, read_sweep, short_names
from facerec.verification.paired_comparison import holm


class Seen(HTMLParser):
    """The tags, attributes and text that a browser would see."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags, self.attributes, self.text = [], [], ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data):
        self.text += data


@given(st.text(st.characters(exclude_categories=["C", "Z"])), st.text(st.characters(exclude_categories=["C", "Z"])))
def test_text_stays_text_and_attributes_stay_attributes(text, attribute):
    seen = Seen(element("p", text, element("b", text), title=attribute))
    assert (seen.tags, seen.text, seen.attributes) == (["p", "b"], 2 * text, [("title", attribute)])


def test_what_is_html_already_is_not_escaped_again():
    assert element("p", Html("<b>x</b>"), class_="a", data_cell=3) == '<p class="a" data-cell="3"><b>x</b></p>'
    assert element("br") == "<br>" and element("circle", r=2) == '<circle r="2"/>'


def test_normally_distributed_scores_give_a_straight_line_on_the_axes_of_a_det():
    thresholds = np.linspace(-1.5, 1.5, 20)
    x, y = normal_deviate(1e-3, 0.7), normal_deviate(1e-3, 0.9)
    places = np.stack([x.place(norm.cdf(thresholds - 1)), y.place(norm.cdf(-thresholds - 1))], 1)
    steps = np.diff(places, axis=0)
    np.testing.assert_allclose(steps / steps[0], np.ones_like(steps), rtol=1e-6)
    assert [name for _, name in x.ticks] == ["0.1 %", "1 %", "5 %", "20 %", "50 %"]


@pytest.mark.parametrize("scale", [linear(np.array([3.0, 7.5])), logarithmic(0.2, 300), normal_deviate(1e-4, 0.5)])
def test_a_scale_goes_from_0_to_1_and_its_ticks_are_where_they_say(scale):
    np.testing.assert_allclose(scale.place(np.array([scale.low, scale.high])), [0, 1], atol=1e-12)
    places = scale.place(np.array([value for value, _ in scale.ticks]))
    assert len(places) > 2 and (np.diff(places) > 0).all() and places.min() >= 0 and places.max() <= 1


def test_there_is_no_tick_before_the_first_epoch_or_after_the_last():
    assert [name for _, name in linear(np.array([1, 2, 3]), whole=True).ticks] == ["1", "2", "3"]
    assert [name for _, name in linear(np.array([8]), whole=True).ticks] == ["8"]


def test_a_single_point_is_a_dot():
    scale = linear(np.array([0.0, 1.0]))
    svg = plot(Axis("x", scale), Axis("y", scale), [Line(np.array([[0.5, 0.5]]), "a", 0, 0)])
    assert svg.count("<circle") == 1


def drawn(path: str) -> np.ndarray:
    """The corners of a path of M, l, h and v."""
    points = [np.array([0.0, 0.0])]
    for kind, numbers in re.findall(r"([Mlhv])([-\d. e]+)", path):
        values = list(map(float, numbers.split()))
        step = {"h": [*values, 0], "v": [0, *values]}.get(kind, values)
        points.append(np.array(step) if kind == "M" else points[-1] + step)
    return np.array(points[1:])


def distance(point: np.ndarray, corners: np.ndarray) -> float:
    """From a point to the nearest of the lines between corners."""
    found = []
    for one, other in pairwise(corners):
        along = np.clip((point - one) @ (other - one) / max((other - one) @ (other - one), 1e-12), 0, 1)
        found.append(np.linalg.norm(point - one - along * (other - one)))
    return min(found)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 60))
def test_a_line_passes_each_of_its_points_within_half_a_pixel(seed, number):
    points = np.cumsum(np.random.default_rng(seed).random((number, 2)).round(1), 0)
    points = points if np.ptp(points, 0).all() else np.cumsum(np.ones((number, 2)), 0)
    low, high = points.min(0), points.max(0)
    x, y = (linear(np.array([a, b])) for a, b in zip(low, high, strict=True))
    svg = plot(Axis("x", x), Axis("y", y), [Line(points, "a", 0, 0)])
    (path,) = re.findall(r'<g class="c0"[^>]*><title>a</title><path d="([^"]+)"', svg)
    places = np.stack([46 + x.place(points[:, 0]) * 300, 220 - y.place(points[:, 1]) * 194], 1)
    corners = drawn(path)
    assert max(distance(place, corners) for place in places) < 0.5
    np.testing.assert_allclose(corners[[0, -1]], places[[0, -1]], atol=0.26)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 40))
def test_each_label_is_inside_the_plot_and_covers_neither_a_dot_nor_another_label(seed, number):
    rng, area = np.random.default_rng(seed), Area(46, 18, 360, 220)
    dots = rng.normal([200, 120], 25, (number, 2)).clip([50, 30], [340, 210])
    boxes = label_boxes(dots, rng.uniform(10, 45, number).tolist(), area)
    assert None not in boxes
    lefts, tops, rights, bottoms = np.array(boxes).T
    assert min(lefts) >= 46 and min(tops) >= 18 and max(rights) <= 360 and max(bottoms) <= 220
    apart = (lefts[:, None] >= rights) | (rights[:, None] <= lefts)
    apart |= (tops[:, None] >= bottoms) | (bottoms[:, None] <= tops)
    assert (apart | np.eye(number, dtype=bool)).all()
    x, y = dots.T[:, :, None]
    assert not ((lefts < x) & (x < rights) & (tops < y) & (y < bottoms)).any()


def test_a_label_is_beside_its_dot_if_there_is_space_and_else_has_a_line_to_it():
    scale = linear(np.array([0.0, 1.0]))
    dots = [Dot(0.5, 0.5, f"dot {n}", 0, n, "a label") for n in range(9)]
    svg = plot(Axis("x", scale), Axis("y", scale), [], dots)
    assert svg.count(">a label<") == 9 and 0 < svg.count('class="leader"') < 9
    svg = plot(Axis("x", scale), Axis("y", scale), [], dots[:1])
    assert svg.count(">a label<") == 1 and svg.count("leader") == 0


def test_there_is_no_label_where_there_is_no_space():
    dots = np.array([[50.0, 50.0], [52.0, 50.0]])
    first, second = label_boxes(dots, [30, 30], Area(0, 40, 92, 60))
    assert first is not None and second is not None
    assert label_boxes(dots, [100, 0], Area(0, 40, 92, 60)) == [None, None]


@pytest.mark.parametrize("more", [False, True])
def test_no_point_of_the_front_is_beaten_and_every_other_one_is(more):
    rng = np.random.default_rng(0)
    points = [Point(str(n), "", float(a), None, float(c)) for n, (a, c) in enumerate(rng.integers(0, 9, (40, 2)))]
    front = pareto_front(points, more)

    def beats(one, other):
        cost, than = (one.cost, other.cost) if not more else (-one.cost, -other.cost)
        no_worse = one.accuracy >= other.accuracy and cost <= than
        return no_worse and (one.accuracy, cost) != (other.accuracy, than)

    unbeaten = {(p.accuracy, p.cost) for p in points if not any(beats(other, p) for other in points)}
    assert {(p.accuracy, p.cost) for p in front} == unbeaten and len(front) == len(unbeaten)
    assert [p.cost for p in front] == sorted(p.cost for p in front)


@pytest.fixture
def runs(tmp_path):
    write_sweep(
        tmp_path, ("depthwise.Depthwise", "tvconv.TVConv"), widths=(0.1, 0.2), seeds=(1, 2), pairs=200, epochs=3
    )
    return find_runs([tmp_path])


def test_the_hardest_pairs_are_those_that_most_runs_decide_wrongly(runs):
    sweep = read_sweep(runs, "operator")
    hardest = hardest_pairs(sweep, "lfw", most=7)
    wrong = sum((~run.scores["lfw"].correct).astype(int) for run in sweep)
    assert [pair.wrong for pair in hardest.pairs] == sorted(wrong, reverse=True)[:7] and len(hardest.runs) == 8
    kept = sweep[0].scores["lfw"]
    # Among pairs with which equally many runs are wrong, the distances beyond their thresholds of 4 fall.
    beyond = [
        (pair.wrong, sum(abs(s.scores[i] - 4) for s in (run.scores["lfw"] for run in sweep) if not s.correct[i]))
        for pair in hardest.pairs
        for i in np.flatnonzero((kept.left == pair.images[0]) & (kept.right == pair.images[1]))
    ]
    assert beyond == sorted(beyond, reverse=True)
    listed = list(zip(kept.left.tolist(), kept.right.tolist(), strict=True))
    for pair in hardest.pairs:
        index = listed.index(pair.images)
        assert (pair.wrong, pair.is_same) == (wrong[index], kept.is_same[index])
        assert pair.names == tuple(kept.images[list(pair.images)])


def test_runs_with_other_pairs_do_not_count(runs):
    one, two, *_ = read_sweep(runs, "operator")
    two.scores["lfw"].left[0] += 1
    hardest = hardest_pairs([one, two], "lfw")
    assert (hardest.runs, hardest.left_out) == ([one], 1)


def test_runs_are_compared_width_by_width_and_p_is_corrected_for_all(runs):
    found, problems, *_ = compare_alike(runs, "operator")
    assert problems == [] and len(found) == 2 * 2
    alone = []
    for width in ("0.1", "0.2"):
        groups = group_runs([run for run in runs if f"width={width}," in run.name], "operator")
        alone += compare_groups(groups, baseline_of(groups, None))[0]
    assert [c.found for c in found] == [c.found for c in alone]
    assert [c.p for c in found] == holm([c.found.p for c in alone])


def test_a_sweep_has_names_cells_and_groups(runs):
    sweep = read_sweep(runs, "operator")
    assert [run.group for run in sweep] == ["Depthwise"] * 4 + ["TVConv"] * 4
    assert {run.name for run in sweep} == {f"{cell}, seed {seed}" for cell in cells_of(sweep) for seed in (1, 2)}
    assert short_names(list(cells_of(sweep))) == ["Depthwise x0.1", "Depthwise x0.2", "TVConv x0.1", "TVConv x0.2"]
    assert {run.group for run in read_sweep(runs, "width")} == {"width=0.1", "width=0.2"}
    varied = varied_settings([run.results.config for run in sweep])
    assert varied[0] == {"operator": "Depthwise", "width": "0.1"}


def test_curves_have_the_points_of_the_file(tmp_path):
    (tmp_path / "metrics.csv").write_text("epoch,train/loss,lfw/accuracy\n0,2.5,\n1,nan,0.5\n2,1.5,0.75\n")
    found = learning_curves(tmp_path)
    np.testing.assert_array_equal(found["train/loss"], [[1, 2.5], [3, 1.5]])
    np.testing.assert_array_equal(found["lfw/accuracy"], [[2, 0.5], [3, 0.75]])


@pytest.mark.parametrize("content", ["epoch,loss\n1,a\n", "loss\n2\n", "epoch,loss\n1,2,3\n"])
def test_damaged_curves_are_named(content, tmp_path):
    (tmp_path / "metrics.csv").write_text(content)
    with refuses(str(tmp_path / "metrics.csv"), "run again", error=InputError):
        learning_curves(tmp_path)


def test_a_map_is_drawn_from_its_lowest_value_to_its_highest():
    values = np.arange(12.0).reshape(3, 4)
    (data,) = re.findall(r'base64,([^"]+)"', map_image(values, "a"))
    levels = np.array(Image.open(io.BytesIO(base64.b64decode(data))))
    np.testing.assert_array_equal(levels, (255 * values / 11).round())


def test_a_map_is_drawn_in_the_colours_of_a_wider_span():
    (data,) = re.findall(r'base64,([^"]+)"', map_image(np.arange(12.0).reshape(3, 4), "a", (-11, 11)))
    levels = np.array(Image.open(io.BytesIO(base64.b64decode(data))))
    assert levels.min() == round(255 / 2) and levels.max() == 255
