"""A command line is the command's own settings and those of a run, and nothing else."""

import shlex
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Literal
from unittest import mock

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from says import refuses, says

from facerec.commands.main import COMMANDS, module_of
from facerec.config.settings import (
    as_typed,
    command,
    measured_by,
    parse,
    quoted,
    run_settings,
    setting,
    subcommands,
)
from facerec.errors import InputError


@dataclass
class Settings:
    checkpoint: Path = setting("required", word=True)
    folders: tuple[Path, ...] = setting("several", (), word=True)
    form: Literal["training", "deployed"] = setting("a choice", "training")
    name: str | None = setting("text", None)
    quick: bool = setting("a switch", False)
    size: int = setting("a number with limits", 112, least=16, most=1024)
    seed: int = setting("with one limit", 1, least=1)
    strengths: tuple[float, ...] = setting("numbers", (0.5, 1))
    overrides: tuple[str, ...] = run_settings("of a run", "data", "trainer", "augmentation@data.test_augmentation")


def parsed(*arguments: str) -> Settings:
    return parse(Settings, ["checkpoint=a.ckpt", *arguments])


def test_what_is_not_given_is_the_default_and_the_last_of_two_counts():
    assert parsed() == Settings(Path("a.ckpt"))
    given = parsed("checkpoint=b=c.ckpt", "quick=true", "size=16", "form=deployed")
    assert given == Settings(Path("b=c.ckpt"), size=16, quick=True, form="deployed")
    assert parsed("strengths=[1,2.5]").strengths == (1, 2.5)


@pytest.mark.parametrize("text", ["2024", "1.50", "a=b", "a b", "[x]", "null", "true", "x,y", "{}"])
def test_text_is_what_was_typed(text):
    assert parsed(f"name={text}").name == text and str(parsed(f"folders={text}").folders[0]) == text


@dataclass
class Report:
    folders: tuple[Path, ...] = setting("that are read", word=True)
    sections: tuple[str, ...] = setting("names", ())
    quick: bool = setting("a switch", False)
    rate: float | None = setting("a number", None)
    name: str | None = setting("text", None)
    out: Path | None = setting("written", None, written=True)


@pytest.mark.parametrize(
    "words",
    [
        "a",
        "a b/c",
        "a sections=x,y rate=0.01",
        "a quick=true 'name=two words'",
        "'a b' name=x=y",
        "a sections=x name=1",
    ],
)
def test_a_command_is_said_as_it_was_typed_without_what_it_writes(words, tmp_path):
    settings = parse(Report, [f"out={tmp_path / 'o.md'}", *shlex.split(words)])
    assert measured_by("do", settings) == f"do {words}"


def test_words_fill_what_takes_words_and_may_have_an_equals_sign_in_a_path():
    settings = parse(Settings, ["a.ckpt", "x", "quick=true", "runs/operator=tvconv,seed=2"])
    assert settings == Settings(Path("a.ckpt"), (Path("x"), Path("runs/operator=tvconv,seed=2")), quick=True)


def test_the_settings_of_a_run_are_collected_in_their_order():
    given = (
        "data=folder",
        "+trainer.limit=2",
        "augmentation@data.test_augmentation=rotation",
        "data.root=/x/a (1)",
    )
    assert parsed(*given, "quick=true").overrides == (*given[:3], "data.root='/x/a (1)'")


@pytest.mark.parametrize(
    ("argument", "facts"),
    [
        ("operator=tvconv", ("'operator=tvconv'", "of a run", "checkpoint, folders")),
        ("nmae=x", ("'nmae=x'", "'name'")),
        ("--quick", ("--quick is written quick=true",)),
        ("--size", ("--size VALUE is written size=VALUE",)),
        ("--name=x", ("--name=x is written name=x",)),
        ("--formm", ("'--formm'", "KEY=VALUE", "'form'")),
        ("form=fast", ("form", "training or deployed", "'fast'")),
        ("quick=yes", ("quick", "true or false", "'yes'")),
        ("size=8", ("size", "an integer between 16 and 1024", "'8'")),
        ("size=1.5", ("size", "an integer", "'1.5'")),
        ("seed=0", ("seed", "of at least 1", "'0'")),
        ("strengths=1,nan", ("strengths", "a number", "'nan'")),
        ("name=", ("name=", "no value", "leave name out")),
    ],
)
def test_a_mistake_is_refused_with_its_remedy(argument, facts):
    with refuses(*facts, error=InputError):
        parsed(argument)


def test_what_must_be_given_is_asked_for_and_a_flag_shows_its_own_value():
    with refuses("no checkpoint", "checkpoint=", error=InputError):
        parse(Settings, [])
    with refuses("--size 96 is written size=96", error=InputError):
        parsed("--size", "96")


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (InputError("no such thing"), 1, "no such thing\n"),
        (KeyboardInterrupt(), 130, "nothing was written\n"),
        (KeyboardInterrupt("after 3"), 130, "after 3\n"),
    ],
)
def test_a_command_ends_in_one_sentence(error, status, said, capsys, monkeypatch):
    monkeypatch.setattr(Settings, "interrupted", "nothing was written", raising=False)
    assert command(Settings, mock.Mock(side_effect=error))(["a.ckpt"]) == status
    assert capsys.readouterr() == ("", said)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(143)], ids=repr)
def test_ctrl_c_without_a_sentence_and_an_exit_are_for_the_program(error):
    with pytest.raises(type(error)):
        command(Settings, mock.Mock(side_effect=error))(["a.ckpt"])


@pytest.mark.parametrize(("result", "status", "printed"), [({"a": 1}, 0, '{"a": 1}\n'), (None, 0, ""), (3, 3, "")])
def test_a_command_prints_json_or_gives_its_status(result, status, printed, capsys):
    assert command(Settings, lambda settings: result)(["a.ckpt"]) == status
    assert capsys.readouterr().out == printed


@dataclass
class Written:
    out: Path | None = setting("a file", None, written=True)


@pytest.mark.parametrize(
    ("out", "facts"),
    [
        ("folder", ("out=folder", "is a folder", "name a file")),
        ("file/x.png", ("out=file/x.png", "is a file", "name")),
        ("file/new/x.png", ("out=file/new/x.png", "file", "folder")),
        ("dead/x.png", ("out=dead/x.png", "dead is not a folder", "another")),
        ("/dev/null", ("out=/dev/null", "replaced", "another")),
    ],
)
def test_a_file_that_cannot_be_written_is_refused_before_the_work(out, facts, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "dead").symlink_to("nowhere")
    with refuses(*facts, error=InputError):
        parse(Written, [f"out={out}"])
    for fine in ("file", "new.png", "new/x.png", "folder/x.png"):
        assert parse(Written, [f"out={fine}"]) == Written(Path(fine))
    assert {path.name for path in tmp_path.iterdir()} == {"folder", "file", "dead"}


def test_a_setting_without_a_value_is_not_answered_with_itself():
    with refuses("'out'", "no value", "out=VALUE", error=InputError):
        parse(Written, ["out"])


@dataclass
class WrittenFolder:
    out: Path = setting("a folder", written="folder")


def test_so_is_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    for out in ("file", "file/new"):
        with refuses(f"out={out}", "file", "folder", error=InputError):
            parse(WrittenFolder, [f"out={out}"])
    for fine in (".", "new", "new/deeper"):
        assert parse(WrittenFolder, [f"out={fine}"]) == WrittenFolder(Path(fine))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_one_in_a_protected_folder_as_well(monkeypatch):
    monkeypatch.setattr("os.access", lambda *_: False)
    with refuses("out=x.png", "protected", "another folder", error=InputError):
        parse(Written, ["out=x.png"])


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_file_that_a_command_writes_is_checked(name):
    """A path that is not read is written; some folders have a check of their own, after the default is known."""
    read = {"checkpoint", "model", "rec", "bin", "images", "pairs", "protocol", "source", "list", "folder", "folders"}
    read |= {"detector", "landmarks", "fiducials", "classifier", "groups", "library", "photo", "photos", "before"}
    read |= {"files"}
    own = {"check_data", "filter_frontal", "sensitivity", "train_frontal"}
    for kind in vars(module_of(name)).values():
        for f in fields(kind) if is_dataclass(kind) and kind.__module__.startswith("facerec.commands.") else ():
            reads_too = (kind.__name__, f.name) in {("ToBinSettings", "root"), ("SearchSettings", "gallery")}
            if f.metadata and "Path" in str(f.type) and f.name not in read and name not in own and not reads_too:
                expected = "folder" if "folder" in f.metadata["help"].partition(";")[0] else True
                assert f.metadata["written"] == expected, f.name


def test_a_command_of_several_words_names_them(capsys):
    main = subcommands({"ls": lambda arguments: len(arguments), "build": lambda arguments: 9})
    assert main(["ls", "a", "b"]) == 2
    assert main(["list"]) == 1 and says(capsys.readouterr().err, "ls, build", "'list'")


@pytest.mark.parametrize("text", ["/x/Zoë faces", "Zoë", "a#b", "/x/faces (1)", "~/x", "李明", "a;b", "100 %&"])
def test_a_plain_text_is_put_in_quotes_where_it_is_not_understood_without(text):
    (argument,) = quoted([f"data.root={text}"])
    (override,) = OverridesParser.create().parse_overrides([argument])
    assert (override.key_or_group, override.value()) == ("data.root", text)


@pytest.mark.parametrize("options", [[], ["-m"]], ids=["", "sweep"])
@pytest.mark.parametrize(
    ("key", "text"),
    [
        *(("name", text) for text in ("2024_11_05", "1.50", "1e3", "true", "nan", "007", "it's")),
        *(("data.root", text) for text in ("2024", "a=b", "x:y=z", "[a]", "C:\\faces\\", "'", "a\\'b", "~/my faces")),
        *((key, "2024_11") for key in ("hydra.run.dir", "hydra.sweep.subdir", "+callbacks.own.path")),
        *(("callbacks.best.filename", "1_0"), ("logger.tensorboard.name", "1e3"), ("experiment", "1_0")),
        *(("augmentation@data.test_augmentation", "1_0"), ("hydra/launcher", "5")),
        *(("data.train_folder", "112"), ("data.train_list", "1.0"), ("data.cache", "1"), ("backbone.name", "1e3")),
        *(("resume", "outputs/a/lr=0.1-ed3c184e/last.ckpt"), ("+data.index_cache", "5")),
    ],
)
def test_a_key_of_text_takes_what_was_typed(options, key, text):
    (override,) = OverridesParser.create().parse_overrides([quoted([*options, f"{key}={text}"])[-1]])
    assert override.value() == text and not override.is_sweep_override()


@pytest.mark.parametrize(
    "key", ["hydra.run.dir", "hydra.sweep.dir", "callbacks.metrics.path", "callbacks.best.dirpath"]
)
def test_a_tilde_is_the_home_folder_in_the_paths_that_others_read(key, monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    (override,) = OverridesParser.create().parse_overrides(quoted([f"{key}=~/a b"]))
    assert override.value() == "/home/me/a b"
    assert parsed("folders=~/x").folders == (Path("/home/me/x"),)


def test_so_do_the_names_in_a_list():
    (override,) = OverridesParser.create().parse_overrides(quoted(["data.benchmarks=[2024,lfw,1e3,a=b]"]))
    assert override.value() == ["2024", "lfw", "1e3", "a=b"]


def test_and_the_files_that_are_chosen_in_a_list_or_a_sweep():
    typed = ["-m", "experiment=1_0,mine", "augmentation@data.train_augmentation=[1_0,jitter]"]
    overrides = OverridesParser.create().parse_overrides(quoted(typed)[1:])
    assert list(overrides[0].sweep_string_iterator()) == ["'1_0'", "mine"]
    assert overrides[1].value() == ["1_0", "jitter"]


@pytest.mark.parametrize("argument", ["operator={kernel_size: 5}", "head=choice(arcface,am_softmax)", "operator='a'"])
def test_a_whole_node_and_a_choice_of_files_are_no_text(argument):
    assert quoted([argument]) == [argument]


def test_null_an_interpolation_and_a_switch_are_no_text():
    given = ["data.train_list=null", "data.root=${oc.env:FACES}", "data.cache=true", "data.root='a,b'", "name="]
    assert quoted(given) == given


def test_a_comma_is_part_of_a_path_unless_there_is_a_sweep(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert quoted(["data.root=a,b"]) == ["data.root='a,b'"]
    assert quoted(["-m", "data.root=a,b=c", "name=1,2", "data.root=choice(a,b)"])[1:] == [
        "data.root=a,'b=c'",
        "name='1','2'",
        "data.root=choice(a,b)",
    ]
    (tmp_path / "a,b").mkdir()
    assert quoted(["data.root=a,b", "--multirun"])[0] == "data.root='a,b'"


def test_a_command_is_kept_as_it_was_typed_in_a_shell():
    typed = [
        "name=2024_11_05",
        "data.root=/x/a=b,c",
        "data.root=/x/a (1)",
        "optimizer.weight_decay=${.lr}",
        "~head",
        "a=[b]",
    ]
    kept = as_typed(quoted(typed))
    assert shlex.split(" ".join(kept)) == typed
    assert kept[:2] == typed[:2] and kept[4:] == typed[4:]


@pytest.mark.parametrize(
    "argument",
    [
        "width=0.1,0.2",
        "data.benchmarks=[lfw]",
        "seed=range(1,3)",
        "name='Zoë'",
        "a=b=c",
        "name=a,b",
        "operator=glob(*)",
        "-m",
        "ü",
    ],
)
def test_what_hydra_understands_or_has_marks_of_its_grammar_stays_as_it_is(argument):
    assert quoted([argument]) == [argument]
