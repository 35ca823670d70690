"""Contents of a results.json that are not what they should be."""

import json
from collections.abc import Callable
from typing import Any

from test_report import results


def with_part(place: str, value: object) -> Callable[[], bytes]:
    def written() -> bytes:
        content: Any = results()
        node = content
        *nodes, last = place.split(".")
        for key in nodes:
            node = node[key]
        node[last] = value
        return json.dumps(content).encode()

    return written


def without(place: str) -> Callable[[], bytes]:
    def written() -> bytes:
        content: Any = results()
        node = content
        *nodes, last = place.split(".")
        for key in nodes:
            node = node[key]
        del node[last]
        return json.dumps(content).encode()

    return written


def text(written: str, encoding: str = "utf-8") -> Callable[[], bytes]:
    return lambda: written.encode(encoding)


ODD: dict[str, Callable[[], bytes]] = {
    "nothing": text(""),
    "a list": text("[1]"),
    "a number": text("3"),
    "null": text("null"),
    "an empty object": text("{}"),
    "half of it": lambda: json.dumps(results()).encode()[:700],
    "twice": lambda: 2 * json.dumps(results()).encode(),
    "UTF-16": lambda: json.dumps(results()).encode("utf-16"),
    "a byte order mark": lambda: b"\xef\xbb\xbf" + json.dumps(results()).encode(),
    "bytes that are no text": lambda: b"\xff\xfe\x00" * 100,
    "lists without end": text("[" * 100_000),
    "objects without end": text('{"a":' * 100_000),
    "a configuration nested 900 times": with_part("config.data", json.loads('{"a":' * 900 + "1" + "}" * 900)),
    "lists in a configuration nested 400 times": with_part("config.data", {"a": json.loads("[" * 400 + "]" * 400)}),
    "a number of 5000 digits": text('{"started": ' + "9" * 5000 + "}"),
    "an accuracy of 400 digits": with_part("last.benchmarks.lfw.accuracy", 10**400),
    "an accuracy that is not a number": with_part("last.benchmarks.lfw.accuracy", float("nan")),
    "an accuracy without end": with_part("best.benchmarks.lfw.accuracy", float("inf")),
    "an accuracy above one": with_part("best.benchmarks.lfw.accuracy", 1e300),
    "an accuracy that is text": with_part("last.benchmarks.lfw.accuracy", "high"),
    "an accuracy in a list": with_part("last.benchmarks.lfw.accuracy", [0.9]),
    "no accuracy": without("last.benchmarks.lfw.accuracy"),
    "a benchmark that is null": with_part("last.benchmarks.lfw", None),
    "no benchmarks": with_part("last.benchmarks", {}),
    "benchmarks in a list": with_part("last.benchmarks", ["lfw"]),
    "a benchmark without a name": with_part("last.benchmarks", {"": {"accuracy": 0.9, "std": 0.1, "auc": 0.9}}),
    "a negative epoch": with_part("last.epoch", -5),
    "an epoch that is text": with_part("last.epoch", "9"),
    "no cost": without("cost"),
    "a cost of nothing": with_part("cost", {}),
    "negative costs": with_part("cost.macs_paper", -1e308),
    "no configuration": without("config"),
    "a backbone that is text": with_part("config.backbone", "mbv2"),
    "a backbone without a class": with_part("config.backbone", {"width": 0.1}),
    "a class that is a number": with_part("config.backbone._target_", 3),
    "a class without a name": with_part("config.operator._target_", "..."),
    "a width that is text": with_part("config.backbone.width", "wide"),
    "a seed that is null": with_part("config.seed", None),
    "no start": without("started"),
    "a start that is a number": with_part("started", 3),
    "a start that is no time": with_part("started", "yesterday"),
    "a speed that is text": with_part("training_images_per_second", "fast"),
    "a commit that is a number": with_part("git_commit", 3),
    "a protocol that is an object": with_part("protocol", {}),
    "an error of an accuracy that is negative": with_part("last.benchmarks.lfw.accuracy_error", -1.0),
    "people that are none": with_part("last.benchmarks.lfw.num_people", 0),
    "sets of the best epoch that are numbers": with_part("best_chosen_on", [1]),
    "a set of the best epoch that is not there": with_part("best_chosen_on", ["other"]),
    "a learner that is unknown": with_part("config.learner", {"_target_": "somebody.Else"}),
    "a fingerprint in a list": with_part("data.train.fingerprint", [1]),
}  # fmt: skip
