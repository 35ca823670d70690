"""Two processes that want the same, and files that others change while a run uses them."""

import os
import shutil
import time
from pathlib import Path

from attack_endings import REFUSED, ending
from attack_row import IS_WHOLE, Row
from forked_program import Program
from image_files import plain, write_image, write_noise
from reference_run import facts
from running import DEPTHWISE, ONE_EPOCH, THREE_EPOCHS, only_run, train
from says import says

from facerec.files import LAST, RESULTS

QUICK = [*THREE_EPOCHS, "logger=none", "~callbacks.pictures"]
DRAWN = [*DEPTHWISE, *QUICK]  # the run of the fixture `depthwise_run`
FOLDER = ["data=folder", "data.root=faces", "data.benchmarks=[odd]", "data.global_batch_size=4", "data.num_workers=0"]
READ = [*(part for part in DEPTHWISE if not part.startswith("data")), *QUICK, *FOLDER]


def same(run: Path, other: Path) -> bool:
    """Whether two runs have the same weights, results and metrics."""
    ours, theirs = facts(run), facts(other)
    return all(ours[what] == theirs[what] for what in ("weights", "results", "metrics"))


def test_runs(row: Row, tmp_path: Path) -> None:
    """Two runs of one name at once, with an empty cache"""
    for gap in row.cases([0, 0.3, 1.0], 1):
        with row.trial(f"{gap} s") as trial:
            folder, both = tmp_path / str(gap), []
            for wait in (0, gap):
                time.sleep(wait)
                both.append(Program(folder, "train", *DRAWN, *ONE_EPOCH))
            assert [ending(program) for program in both] == ["ended well"] * 2
            one, other = (file.parent for file in folder.glob(f"outputs/default/*/{RESULTS}"))
            assert same(one, other)
            assert not list((folder / "outputs" / "cache").glob(".*")), "half-written files"
            trial.ending = "both ended well, the same"


def test_sweeps(row: Row, tmp_path: Path) -> None:
    """A sweep twice at once: each cell is trained, by whichever"""
    cells = [*DRAWN, *ONE_EPOCH, "seed=1,2", "name=sweep"]
    ways = {"as it is": [], "resumed": ["skip_finished=true", "resume=auto"], "claimed": ["cells=claim"]}
    for way, settings in row.cases(list(ways.items()), 1):
        with row.trial(way) as trial:
            folder = tmp_path / way.replace(" ", "_")
            both = [Program(folder, "train", "-m", *cells, *settings) for _ in range(2)]
            statuses = [program.status() for program in both]
            assert "Traceback" not in both[0].said + both[1].said
            failed = [line for program in both for line in program.said.splitlines() if line.startswith("failed")]
            assert all(says(line, "sweep") and ("another process" in line or "finished" in line) for line in failed)
            assert any(statuses) == bool(failed)
            runs = list(folder.glob(f"outputs/sweep/*/{RESULTS}"))
            assert len(runs) == 2 and len({str(facts(file.parent)["weights"]) for file in runs}) == 2
            trial.ending = "one refused cells of the other" if failed else "both ended well"


def test_resuming(row: Row, tmp_path: Path, depthwise_run: Path) -> None:
    """resume=auto twice on one run"""
    arguments = [*DRAWN, f"trainer.max_epochs={12 if IS_WHOLE else 5}", "resume=auto"]
    begun = tmp_path / "begun" / "outputs" / "default" / "run"
    shutil.copytree(depthwise_run, begun)
    (begun / RESULTS).unlink()
    shutil.copytree(tmp_path / "begun", tmp_path / "undisturbed")
    assert train(tmp_path / "undisturbed", *arguments) == 0
    for gap in [0, 0.4, 0.8, 1.0, 1.5] if IS_WHOLE else [0]:
        with row.trial(f"{gap} s") as trial:
            folder = tmp_path / str(gap)
            shutil.copytree(tmp_path / "begun", folder)
            both = []
            for wait in (0, gap):
                time.sleep(wait)
                both.append(Program(folder, "train", *arguments))
            statuses = [program.status() for program in both]
            assert sorted(statuses) == [0, 1], statuses
            ending(both[statuses.index(1)], "outputs/default/run", "another process", "wait")
            assert same(only_run(folder), only_run(tmp_path / "undisturbed"))
            trial.ending = "one went on, the other was refused, the same"


def paused(folder: Path, *arguments: str, step: int) -> tuple[Program, Path]:
    """A training that waits after a step until the file is gone."""
    marker = folder / "waits"
    pause = f"+callbacks.pause={{_target_: interruption.Pause, step: {step}, marker: '{marker}'}}"
    program = Program(folder, "train", *arguments, pause)
    end = time.monotonic() + 60
    while not marker.exists():
        assert not program.ended(0.02) and time.monotonic() < end, program.said
    return program, marker


def overwrite(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(200)
        file.write(b"\x55" * 20_000)


def test_cache_in_use(row: Row, tmp_path: Path, depthwise_run: Path) -> None:
    """The decoded images are deleted, cut off or changed while a run uses them"""
    harms = {"deleted": Path.unlink, "cut off": lambda path: os.truncate(path, 9000), "changed": overwrite}
    for what, harm in row.cases(list(harms.items()), 1):
        with row.trial(what) as trial:
            folder = tmp_path / what.replace(" ", "_")
            program, marker = paused(folder, *DRAWN, step=6)
            for path in (folder / "outputs" / "cache").glob("images-*.npy"):
                harm(path)
            marker.unlink()
            trial.ending = went_on(program, folder, DRAWN, () if what == "deleted" else ("images-", what, "delete"))
            assert same(only_run(folder), depthwise_run)


def went_on(program: Program, folder: Path, arguments: list[str], said: tuple[str, ...]) -> str:
    """How it ends; after a refusal the run is resumed, with what the sentence says done."""
    if ending(program, *said) != REFUSED:
        return "ended well, the same"
    for path in (folder / "outputs" / "cache").glob("images-*.npy"):
        path.unlink()
    assert (only_run(folder) / LAST).is_file()
    ending(Program(folder, "train", *arguments, "resume=auto"))
    return "refused in a sentence, and resumed the same"


def half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def swap(path: Path) -> None:
    write_image(path, plain((9, 9, 9), (32, 32)))


def test_images_in_use(row: Row, tmp_path: Path) -> None:
    """An image is removed, halved or replaced while a run uses it, with 0 and 2 loading processes"""
    cases = [(harm, workers) for harm in (Path.unlink, half, swap) for workers in (0, 2)]
    for harm, workers in row.cases(cases, 1):
        with row.trial(f"{harm.__name__}, {workers}") as trial:
            folder = tmp_path / f"{harm.__name__}{workers}"
            arguments = [*READ, f"data.num_workers={workers}"]
            write_noise(folder / "faces")
            program, marker = paused(folder, *arguments, step=10)
            image = folder / "faces" / "train" / "2" / "3.png"
            before = image.read_bytes()
            harm(image)
            marker.unlink()
            program.status()
            image.write_bytes(before)
            if harm is swap:
                trial.ending = ending(program)
                continue
            trial.ending = went_on(program, folder, arguments, ("train/2/3.png",))
            shutil.copytree(folder / "faces", folder / "undisturbed" / "faces")
            assert train(folder / "undisturbed", *arguments) == 0
            assert same(only_run(folder), only_run(folder / "undisturbed"))
