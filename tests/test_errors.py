import pytest
from says import refuses
from torch.utils.data import DataLoader, Dataset

from facerec.errors import InputError, one_line


class Failing(Dataset[int]):
    """Raises a sentence about ``name``, whose cause is another one."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> int:
        try:
            raise InputError("the cause")
        except InputError as error:
            raise InputError(f"{self.name} is wrong: rename it") from error


@pytest.mark.parametrize(
    ("name", "shown"), [("a.jpg", "a.jpg"), ("n\n\nm.jpg", r"n\n\nm.jpg"), ("InputError: x.jpg", "InputError: x.jpg")]
)
def test_the_sentence_of_a_worker_arrives_whole(name: str, shown: str) -> None:
    with refuses(shown, "rename", error=InputError):
        next(iter(DataLoader(Failing(name), num_workers=1)))


@pytest.mark.parametrize("character", "\n\r\v\f\x1b\x7f\x85\u2028")
def test_a_sentence_is_one_line(character: str) -> None:
    sentence = str(InputError(f"a{character}ü b.jpg is wrong"))
    assert sentence == f"a{character.encode('unicode_escape').decode()}ü b.jpg is wrong"
    assert len(sentence.splitlines()) == 1


def test_letters_of_all_scripts_stay() -> None:
    assert one_line("ü 字\tא\udcfc") == "ü 字\tא\udcfc"
