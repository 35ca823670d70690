"""The hardest pairs of a sweep, by name, and with their faces if asked."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from facerec.config.build import build_faces
from facerec.config.stored import compose_trained
from facerec.data.source import Benchmark
from facerec.errors import InputError
from facerec.pages.html_table import html_table
from facerec.pages.inline_images import face_image
from facerec.pages.markup import Html, element
from facerec.pages.texts import count
from facerec.runs.hardest_pairs import Hardest, HardPair, hardest_pairs
from facerec.runs.sweep import SweepRun


@dataclass
class HardestSection:
    """Tables of the hardest pairs by benchmark; ``faces`` adds the images, read as the runs read them."""

    faces: bool
    trust: bool

    def parts(self, runs: Sequence[SweepRun]) -> list[Html]:
        """Return the heading, a sentence and the table of each benchmark."""
        names = dict.fromkeys(name for run in runs for name in run.scores)
        return [part for name in names for part in self._benchmark(name, hardest_pairs(runs, name))]

    def _benchmark(self, name: str, hardest: Hardest) -> list[Html]:
        number = len(hardest.runs)
        said = [f"Of {count(number, 'run')}; the last epoch decides."]
        if hardest.left_out:
            said.append(f"{hardest.left_out} others have another list of pairs, or scores that keep no decisions.")
        if not hardest.pairs:
            said.append("No run decides a pair wrongly." if number else "No run says which pairs it decided wrongly.")
            return [element("h3", name), element("p", " ".join(said), class_="say")]
        shown = self._faces(name, hardest, said)
        rows = [_row(pair, number) for pair in hardest.pairs]
        images = [{"left": face[0], "right": face[1]} for face in shown]
        table = html_table(rows, ("left", "right", "shows"), images=images)
        return [element("h3", name), element("p", " ".join(said), class_="say"), table]

    def _faces(self, name: str, hardest: Hardest, said: list[str]) -> list[tuple[Html, Html]]:
        """Return the faces of the pairs, or none with a sentence in ``said``."""
        if not self.faces:
            return []
        try:
            benchmark = _open(hardest.runs[0], name, self.trust)
            return [_faces_of(benchmark, pair) for pair in hardest.pairs]
        except (InputError, IndexError) as error:
            said.append(f"The faces cannot be shown: {error}.")
            return []


def _open(run: SweepRun, name: str, trust: bool) -> Benchmark:
    """Open a benchmark of the run's; raise `InputError` if its pairs are not those of the run any more."""
    config: dict[str, Any] = run.results.config
    benchmark = build_faces(compose_trained(config, [], trust)).open_benchmark(name)
    kept = (run.results.data.get("benchmarks") or {}).get(name)
    if isinstance(kept, dict) and kept.get("fingerprint") not in (None, benchmark.fingerprint()):
        raise InputError(f"the pairs of {name} have changed since the run in {run.folder}")
    return benchmark


def _faces_of(benchmark: Benchmark, pair: HardPair) -> tuple[Html, Html]:
    left, right = (face_image(benchmark.images.load(image)) for image in pair.images)
    return left, right


def _row(pair: HardPair, number: int) -> dict[str, str]:
    shows = "one person" if pair.is_same else "two people"
    return {"wrong in": f"{pair.wrong} of {number}", "shows": shows, "left": pair.names[0], "right": pair.names[1]}
