"""Run a command: facerec COMMAND KEY=VALUE ...; facerec COMMAND --help lists its settings."""

import ast
import builtins
import importlib
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, cast

from facerec.console import log
from facerec.errors import suggestion
from facerec.process import importing, run

_FOLDER = Path(__file__).parent
# Commands whose module has another name, because file names are unique in the package.
_MODULES = {
    "train": "train_run",
    "export": "export_model",
    "recordio": "recordio_files",
    "report": "report_runs",
    "sensitivity": "sensitivity_study",
}
COMMANDS = (
    *("train", "search", "evaluate", "sensitivity", "measure", "benchmark", "export", "report", "plot_runs", "demo"),
    "plot_paper",
    "recognise",
    *("align_faces", "prepare_benchmark", "recordio", "write_shards", "check_data", "plant_defects"),
    *("train_frontal", "filter_frontal", "plot_synthetic"),
)


def console() -> None:
    """Run the program ``facerec``."""
    run(main)


def main(arguments: list[str]) -> int:
    if arguments == ["--version"]:
        print(f"facerec {version('facerec')}")
        return 0
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(__doc__)
        for name in COMMANDS:
            print(f"    {name:<19}{_documentation(name)[0].partition(':')[0].rstrip('.')}")
        return 0 if arguments else 1
    name, *others = arguments
    if name not in COMMANDS:
        log(f"unknown command {name!r}; {suggestion(name, COMMANDS)}")
        return 1
    return command(name)(others)


def command(name: str) -> Callable[[list[str]], int]:
    """Return the command's ``main``. ``--help`` reads the module's source, because importing it may take seconds."""

    def main(arguments: list[str]) -> int:
        if name == "train":  # its help is Hydra's
            return module_of(name).program(arguments)
        if {"-h", "--help"} & set(arguments):
            print("\n".join([*_documentation(name), *_settings(name)]))
            return 0
        return _early_status(name, arguments) or module_of(name).main(arguments)

    return main


def _early_status(name: str, arguments: list[str]) -> int:
    """Return 0 if the settings are right, else say what is wrong and return 1, before the module is imported.

    That takes seconds. The classes ...Settings alone are made from the module's source, and its calls of `command` and
    `subcommands` with work that does nothing.
    """
    with importing():
        from facerec.config import settings
    made = {"dataclass": dataclass, "Path": Path, "Literal": Literal, "Any": Any} | vars(settings)
    names: Any = defaultdict(lambda: _nothing, made | vars(builtins) | {"partial": lambda *_: _nothing})
    kept = [node for node in _source(name).body if _is_settings(node) or _is_main(node)]
    exec(compile(ast.Module(kept, []), f"{name}: settings", "exec"), names)
    return names["main"](arguments)


def _nothing(*_: Any) -> None:
    """Stand for a command's work."""


def _is_settings(node: ast.stmt) -> bool:
    return isinstance(node, ast.ClassDef) and node.name.endswith("Settings")


def _is_main(node: ast.stmt) -> bool:
    return isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "main"


def module_of(name: str) -> ModuleType:
    """Import and return the command's module."""
    with importing():
        return importlib.import_module(f"facerec.commands.{_MODULES.get(name, name)}")


def _source(name: str) -> ast.Module:
    return ast.parse((_FOLDER / f"{_MODULES.get(name, name)}.py").read_text(encoding="utf-8"))


def _documentation(name: str) -> list[str]:
    if name == "train":
        return ["Train a face recogniser: facerec train operator=tvconv backbone=mbv2 width=0.2"]
    return (ast.get_docstring(_source(name)) or "").splitlines()


def _settings(name: str) -> Iterator[str]:
    """Yield the help of each class ...Settings in the module's source, one line per field."""
    for node in _source(name).body:
        if isinstance(node, ast.ClassDef) and node.name.endswith("Settings"):
            yield f"\n{ast.get_docstring(node)}"
            for line in node.body:
                if isinstance(line, ast.AnnAssign) and isinstance(line.value, ast.Call):
                    yield _setting(ast.unparse(line.target), ast.unparse(line.annotation), line.value)


def _setting(key: str, kind: str, call: ast.Call) -> str:
    """Return ``KEY=KIND  help (DEFAULT)`` for a call of `setting`, and ``KEY=VALUE  help`` for `run_settings`."""
    help = cast(ast.Constant, call.args[0]).value
    if cast(ast.Name, call.func).id == "run_settings":
        return f"    {'KEY=VALUE':<33} {help}"
    default = _default(call.args[1]) if len(call.args) > 1 else "required"
    shown = f" ({default})" if default else ""
    word = any(keyword.arg == "word" for keyword in call.keywords)  # KEY= is optional
    return f"    {(f'[{key}=]' if word else f'{key}=') + _placeholder(kind):<33} {help}{shown}"


def _default(value: ast.expr) -> str:
    default = ast.literal_eval(value.args[0] if isinstance(value, ast.Call) else value)  # Path("...")
    if isinstance(default, tuple):
        return ",".join(map(str, default))
    return "" if default is None else str(default).lower() if isinstance(default, bool) else str(default)


def _placeholder(kind: str) -> str:
    kind = kind.removesuffix(" | None")
    if kind.startswith("Literal"):
        return "|".join(ast.literal_eval(kind.removeprefix("Literal").replace("[", "(").replace("]", ",)")))
    names = {"bool": "true|false", "int": "NUMBER", "float": "NUMBER", "str": "TEXT", "tuple[Path, ...]": "PATH"}
    return names.get(kind, "PATH" if kind == "Path" else "A,B,...")


if __name__ == "__main__":
    console()
