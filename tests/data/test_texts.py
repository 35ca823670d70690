import multiprocessing
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facerec.data.readers.string_table import Texts
from facerec.data.shared_arrays import SharedArrays

LETTERS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0") | st.sampled_from("\udc80\udcff"))


@given(st.lists(LETTERS))
def test_texts_are_what_was_put_in(texts):
    try:
        kept = [text.encode(errors="surrogateescape").decode(errors="surrogateescape") for text in texts]
    except UnicodeError:  # lone surrogates beyond those that stand for bytes
        return
    found = Texts(texts)
    assert len(found) == len(kept) and list(found) == kept and [found[i] for i in range(len(kept))] == kept
    assert list(pickle.loads(pickle.dumps(found))) == kept
    assert found[1:] == kept[1:] and (not kept or found[-1] == kept[-1])


def test_there_is_nothing_beyond_the_end():
    with pytest.raises(IndexError):
        Texts(["a"])[1]


def test_many_are_read_in_chunks():
    texts = [f"image {number}" for number in range(150_000)]
    assert list(Texts(texts)) == texts


class Holder(SharedArrays):
    def __init__(self) -> None:
        self.numbers, self.names = np.arange(5), Texts(["a", "b"])


def look(holder: Holder) -> tuple[list[int], list[str]]:
    return holder.numbers.tolist(), list(holder.names)


def test_processes_that_start_afresh_get_the_arrays():
    holder = Holder()
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        for _ in range(2):
            assert pool.apply(look, (holder,)) == ([0, 1, 2, 3, 4], ["a", "b"])


def test_an_array_travels_as_one_tensor_however_often():
    holder = Holder()
    assert holder.__getstate__()["numbers"] is holder.__getstate__()["numbers"]
