"""Files that somebody made in order to do harm: they are refused, nothing in them runs, nothing leaves its folder."""

import json
from functools import partial
from itertools import cycle, product
from pathlib import Path

import onnx
import pytest
import torch
from attack_row import Row
from file_readers import READERS, Examples, digest_of
from forked_program import Program
from hostile_checkpoints import ARCHIVES, CHANGES, write
from hostile_configs import PLACES, programs, with_program
from hostile_paths import CASES as PATHS
from hostile_pickles import PROGRAMS, SETS, touching
from limited import Limited, allow_memory
from odd_results import ODD
from running import DEPTHWISE, THREE_EPOCHS, as_program

from facerec.commands.main import module_of
from facerec.config.trained import build_trained
from facerec.errors import InputError
from facerec.exporting import onnx_format

MEMORY = 1_500_000_000


@pytest.fixture
def run(request: pytest.FixtureRequest) -> Path:
    return request.getfixturevalue("depthwise_run")


def refused(limited: Limited, name: str, folder: Path, file: str) -> str:
    """The ending of a reading of ``file`` in ``folder``: in a sentence that names it, or read."""
    try:
        limited(digest_of, name, folder)
    except InputError as error:
        assert file in str(error) or "in the file" in str(error), f"it does not name {file}: {error}"
        return "refused in a sentence"
    return "read"


def test_hostile_checkpoints(row: Row, run: Path, tmp_path: Path) -> None:
    """Checkpoints that are odd in structure or in size, to evaluate."""
    limited = Limited(memory=MEMORY)
    for change in row.cases([*CHANGES, *ARCHIVES], few=3):
        with row.trial(change) as trial:
            write(tmp_path / "best.ckpt", change, run)
            trial.ending = refused(limited, "checkpoint to evaluate", tmp_path, "best.ckpt")


def test_hostile_checkpoints_to_resume(row: Row, run: Path, tmp_path: Path) -> None:
    """Checkpoints that are odd in structure or in size, to resume."""
    arguments = ("train", *DEPTHWISE, *THREE_EPOCHS, "trainer.max_epochs=4", "resume=last.ckpt")
    for change in row.cases([*CHANGES, *ARCHIVES], few=1):
        with row.trial(change) as trial:
            write(tmp_path / "last.ckpt", change, run)
            program = Program(tmp_path, *arguments, first=partial(allow_memory, MEMORY))
            status = program.status(60)
            said = program.said.splitlines()
            assert status in (0, 1) and "Traceback" not in program.said, said[-3:]
            named = ("last.ckpt", "the checkpoint", "the loss is NaN")
            assert status == 0 or any(name in said[-1] for name in named), said[-1]
            trial.ending = "refused in a sentence" if status else "resumed"


def test_hostile_verification_sets(row: Row, examples: Examples) -> None:
    """Verification sets (.bin) that are larger or deeper than they look."""
    limited = Limited(memory=MEMORY)
    for name in row.cases(list(SETS), few=3):
        with row.trial(name) as trial:
            path = examples.of("verification set").renewed()
            path.write_bytes(SETS[name]())
            trial.ending = refused(limited, "verification set", path.parent, path.name)


def test_odd_results(row: Row, tmp_path: Path) -> None:
    """Odd contents of a results.json, in a table of runs."""
    limited = Limited(memory=MEMORY)
    for name in row.cases(list(ODD), few=8):
        with row.trial(name) as trial:
            (tmp_path / "results.json").write_bytes(ODD[name]())
            trial.ending = refused(limited, "results", tmp_path, "results.json")


def test_programs_in_pickles(row: Row, examples: Examples, run: Path, tmp_path: Path) -> None:
    """Pickles that run a program, in every file that may hold one."""
    limited, marker = Limited(memory=MEMORY), tmp_path / "marker"
    quick = [name for name, (reader, _) in PROGRAMS.items() if READERS[reader].write is not None]
    for name in [*row.cases(list(PROGRAMS), few=0), *quick[:3]]:
        with row.trial(name) as trial:
            reader, write = PROGRAMS[name]
            path = examples.of(reader).renewed()
            write(path, run, touching(marker))
            trial.ending = refused(limited, reader, examples.of(reader).folder, path.stem)
            assert not marker.exists()


def test_programs_in_configurations(row: Row, run: Path, tmp_path: Path) -> None:
    """Programs in the configuration of a checkpoint, in each place of it."""
    content, marker = torch.load(run / "best.ckpt", weights_only=True), tmp_path / "marker"
    content["state_dict"] = {}
    for program, place in row.cases(list(product(programs(marker), PLACES)), few=6):
        with row.trial(f"{program} as {place}") as trial:
            config = with_program(content["config"], place, programs(marker)[program])
            torch.save({**content, "config": config}, tmp_path / "best.ckpt")
            try:
                build_trained(tmp_path / "best.ckpt")
            except InputError as error:
                assert "in the file" in str(error) and place.split(".")[0] in str(error), error
                trial.ending = "refused in a sentence"
            assert trial.ending == "refused in a sentence" and not marker.exists()


def test_programs_in_exported_files(row: Row, run: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Programs in the configuration of an ONNX file that is evaluated."""
    trained, marker = torch.load(run / "best.ckpt", weights_only=True)["config"], tmp_path / "marker"
    kinds = cycle(programs(marker))
    cases = [(next(kinds), place) for place in PLACES for _ in range(2)]
    for program, place in row.cases(cases, few=6):
        with row.trial(f"{program} as {place}") as trial:
            config = json.dumps(with_program(trained, place, programs(marker)[program]))
            metadata = {"config": config, "epoch": "1", "checkpoint": "best.ckpt"}
            onnx_format.describe(small_network(), metadata, tmp_path / "net.onnx")
            with as_program(tmp_path):
                status = module_of("evaluate").main(["model=net.onnx"])
            said = capfd.readouterr().err.splitlines()[-1]
            assert status == 1 and "in the file" in said and place.split(".")[0] in said, said
            assert not marker.exists()
            trial.ending = "refused in a sentence"


def small_network() -> onnx.ModelProto:
    """The mean colours of images."""
    shape = ["batch", 32, 32, 3]
    pixels = onnx.helper.make_tensor_value_info("images", onnx.TensorProto.UINT8, shape)
    means = onnx.helper.make_tensor_value_info("embeddings", onnx.TensorProto.FLOAT, ["batch", 3])
    nodes = [
        onnx.helper.make_node("Cast", ["images"], ["floats"], to=onnx.TensorProto.FLOAT),
        onnx.helper.make_node("ReduceMean", ["floats"], ["embeddings"], axes=[1, 2], keepdims=0),
    ]
    graph = onnx.helper.make_graph(nodes, "means", [pixels], [means])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)])
    model.ir_version = 8
    return model


def test_paths_that_lead_out(row: Row, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Names and paths that lead out of the folder: lists, archives, shards, benchmarks."""
    for number, (name, case) in enumerate(row.cases(list(PATHS.items()), few=6)):
        with row.trial(name) as trial:
            work = tmp_path / f"{number}"
            inside = work / "home" / "inside"
            inside.mkdir(parents=True)
            arguments = case(inside)
            before = files_outside(work, inside)
            with as_program(inside):
                status = module_of(arguments[0]).main([str(argument) for argument in arguments[1:]])
            said = capfd.readouterr().err.splitlines()
            assert files_outside(work, inside) == before, f"it wrote outside of its folder: {said[-1:]}"
            assert status in (0, 1) and "Traceback" not in "".join(said), said[-3:]
            trial.ending = "refused in a sentence" if status else "nothing written outside"


def files_outside(work: Path, inside: Path) -> dict[str, bytes]:
    """All files below ``work`` but those that the command may write."""
    mine = [inside / "out", inside / "outputs"]
    files = [path for path in work.rglob("*") if path.is_file() and not any(path.is_relative_to(m) for m in mine)]
    return {str(path): path.read_bytes() for path in files}
