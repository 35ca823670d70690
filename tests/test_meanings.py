"""What is advised for a word of another program: each remedy is tried."""

import shlex

import pytest
from says import refuses

from facerec.config import build, meanings, options
from facerec.config import compose as composition
from facerec.errors import InputError, suggestion

TINY = {"data": "synthetic", "trainer": "cpu", "logger": "none", "image_size": "32", "embedding_dim": "16"}
REMEDIES = {
    f"{group}={word}": remedy for group, words in meanings._OPTIONS.items() for word, remedy in words.items() if remedy
}
NOT_THERE = [
    f"{group}={word}" for group, words in meanings._OPTIONS.items() for word, remedy in words.items() if not remedy
]


def composed(*arguments: str):
    given = {argument.partition("=")[0] for argument in arguments}
    return composition.compose([*(f"{key}={value}" for key, value in TINY.items() if key not in given), *arguments])


def place(argument: str) -> str:
    return argument.replace("augmentation=", "augmentation@data.train_augmentation=")


@pytest.mark.parametrize("argument", sorted({"backbone=resnet50": "", **REMEDIES}))
def test_a_word_of_the_same_meaning_is_answered_with_what_composes(argument):
    group, _, word = argument.partition("=")
    remedy = meanings.of_option(group, word)[word]
    with refuses(word, remedy, error=InputError):
        composed(place(argument))
    composed(*shlex.split(remedy if "=" in remedy else place(f"augmentation={remedy}")))


@pytest.mark.parametrize("word", ["adamw", "adam", "rmsprop"])
def test_the_other_optimizers_train(word):
    cfg = composed(
        *shlex.split(REMEDIES.get(f"optimizer={word}", f"optimizer={word}")), "operator=depthwise", "width=0.1"
    )
    optimizer = build.build_learner(cfg, build.build_backbone(cfg), 3).optimizer_and_schedule()[0]
    assert type(optimizer).__name__.lower() == word


@pytest.mark.parametrize("argument", NOT_THERE)
def test_a_word_of_another_meaning_is_never_answered_with_what_is_spelled_like_it(argument):
    group, _, _ = argument.partition("=")
    with refuses(argument, "known are", *options.options(group), error=InputError):
        composed(argument)


@pytest.mark.parametrize("word", meanings.KEYS)
def test_a_key_of_another_program_is_answered_with_one_that_exists(word):
    key = meanings.KEYS[word]
    with refuses(repr(word), f"{key}=", error=InputError):
        composed(f"{word}=1")
    node = composed("data=folder", "data.root=x") if key.startswith("data.") else composed()
    for part in key.rpartition("@")[2].split("."):
        assert part in node, key
        node = node[part]


def test_a_key_in_the_wrong_node_is_not_answered_with_one_of_another():
    with refuses("'optimizer.learning_rate'", "optimizer.lr=", error=InputError):
        composed("optimizer.learning_rate=1")
    with refuses("'data.root'", "data=folder", "data=streaming", error=InputError):
        composed("data.root=x")
    with refuses("'optimizer.epochs'", "known are", error=InputError):
        composed("optimizer.epochs=1")


def test_a_key_of_another_option_is_answered_with_that_option():
    with refuses("'operator.grid_size'", "operator=grid_depthwise", "leave it out", error=InputError):
        composed("operator=depthwise", "operator.grid_size=5")
    with refuses("'data.train_list'", "data=folder", error=InputError):
        composed("data=synthetic", "data.train_list=some.txt")


def test_what_is_meant_comes_before_what_is_spelled_alike():
    assert suggestion("CosFace", ["arcface"], {"cosface": "a=b"}) == "write a=b"
    assert suggestion("cosface", ["arcface"], {"cosface": ""}) == "known are arcface"
    assert suggestion("arcfase", ["arcface"], {"cosface": ""}) == "did you mean 'arcface'?"
