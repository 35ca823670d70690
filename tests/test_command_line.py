"""A command line is the program's own settings and those of the run, and nothing of the network."""

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from says import refuses

from facerec.config.settings import quoted, split_arguments
from facerec.errors import InputError

DEFAULTS = {"checkpoint": None, "form": "training"}


def test_what_is_not_given_is_the_default_and_the_last_of_two_counts():
    arguments = ["checkpoint=a.ckpt", "data=folder", "checkpoint=b=c.ckpt", "+trainer.limit=2", "protocol=insightface"]
    own, overrides = split_arguments(arguments, "look.py", DEFAULTS)
    assert own == {"checkpoint": "b=c.ckpt", "form": "training"}
    assert overrides == ["data=folder", "+trainer.limit=2", "protocol=insightface"]
    assert DEFAULTS == {"checkpoint": None, "form": "training"}


@pytest.mark.parametrize("argument", ["width=0.2", "operator=tvconv", "database=a", "check"])
def test_anything_else_is_refused_with_what_there_is(argument):
    with refuses("look.py", repr(argument), "checkpoint, form, data, trainer, protocol", error=InputError):
        split_arguments([argument], "look.py", DEFAULTS)


def test_what_a_program_takes_beside_is_taken_whole():
    others = ("augmentation@data.test_augmentation", "affine_strength")
    given = ["augmentation@data.test_augmentation=rotation", "affine_strength=2"]
    assert split_arguments(given, "look.py", DEFAULTS, others) == (DEFAULTS, given)
    for argument in given:
        with refuses("look.py", argument, error=InputError):
            split_arguments([argument], "look.py", DEFAULTS)
    with refuses("affine_strength.x", "augmentation@data.test_augmentation", error=InputError):
        split_arguments(["affine_strength.x=2"], "look.py", DEFAULTS, others)


@pytest.mark.parametrize("text", ["/x/Zoë faces", "Zoë", "a#b", "/x/faces (1)", "~/x", "李明", "a;b", "100 %&"])
def test_a_plain_text_is_put_in_quotes_where_it_is_not_understood_without(text):
    (argument,) = quoted([f"data.root={text}"])
    (override,) = OverridesParser.create().parse_overrides([argument])
    assert (override.key_or_group, override.value()) == ("data.root", text)


@pytest.mark.parametrize(
    "argument",
    ["width=0.1,0.2", "data.benchmarks=[lfw]", "seed=range(1,3)", "name='Zoë'", "a=b=c", "operator=glob(*)", "-m", "ü"],
)
def test_what_hydra_understands_or_has_marks_of_its_grammar_stays_as_it_is(argument):
    assert quoted([argument]) == [argument]
