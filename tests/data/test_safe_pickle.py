import collections
import functools
import importlib
import os
import pickle
import subprocess

import numpy as np
import pytest
from says import refuses
from shared_data import INSIGHTFACE, needs_insightface

from facerec.data.readers.safe_pickle import load_plain_pickle
from facerec.errors import InputError

PROTOCOLS = range(6)

PLAIN = [
    [b"\xff\xd8 jpeg", b"", b"x" * 300],
    (True, False, None, 0, -1, 2**40, 1.5, float("inf"), "text", "\u00e9"),
    [[], (), [(1, [2])]],
]
ARRAYS = [
    np.arange(6, dtype=np.uint8),
    np.arange(6, dtype=np.uint8)[:, None],
    np.asfortranarray(np.arange(6).reshape(2, 3)),
    np.arange(6)[::2],
    np.arange(6, dtype=">i4"),
    np.array([True, False]),
    np.array([1.5, np.inf], np.float16),
    np.array([b"ab", b"c"]),
    np.array(["ab", "\u00e9"]),
    np.array(7, np.int16),
    np.zeros((0, 3), np.float32),
    np.array([b"jpeg", True, None, "text"], object),
    np.array([[b"jpeg", 1], [[2], (3, b"4")]], object),
]
SCALARS = [np.bool_(True), np.uint8(7), np.float32(0.5), np.str_("ab"), np.bytes_(b"ab"), np.array(3, ">i8")[()]]


def load(tmp_path, data):
    (tmp_path / "a.bin").write_bytes(data)
    return load_plain_pickle(tmp_path / "a.bin")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_plain_data_comes_back(tmp_path, protocol):
    assert load(tmp_path, pickle.dumps(PLAIN, protocol)) == PLAIN


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_arrays_and_scalars_come_back_as_pickle_reads_them(tmp_path, protocol):
    written = pickle.dumps(ARRAYS + SCALARS, protocol)
    for found, expected in zip(load(tmp_path, written), pickle.loads(written), strict=True):
        assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("protocol", range(4))
def test_numpy_1_used_another_module_name(tmp_path, protocol):
    written = pickle.dumps(ARRAYS + SCALARS, protocol)
    assert b"numpy._core" in written
    loaded = load(tmp_path, written.replace(b"numpy._core", b"numpy.core"))
    for found, expected in zip(loaded, ARRAYS + SCALARS, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_text_of_python_2_becomes_bytes(tmp_path):
    # What Python 2 writes for (["\xff\xd8", "ab"], [True, False]) with protocols 0 and 2.
    text = b"((lp1\nS'\\xff\\xd8'\np2\naS'ab'\np3\na(lp4\nI01\naI00\natp5\n."
    binary = b"\x80\x02]q\x01(U\x02\xff\xd8q\x02U\x02abq\x03e]q\x04(\x88\x89e\x86q\x05."
    for data in (text, binary):
        assert load(tmp_path, data) == ([b"\xff\xd8", b"ab"], [True, False])


def test_an_array_of_python_2(tmp_path):
    array = b"cnumpy.core.multiarray\n_reconstruct\nq\x01cnumpy\nndarray\nq\x02K\x00\x85U\x01b\x87Rq\x03(K\x01K\x03\x85"
    dtype = b"cnumpy\ndtype\nq\x04U\x02u1K\x00K\x01\x87Rq\x05(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    assert load(tmp_path, b"\x80\x02" + array + dtype + b"\x89U\x03\x01\x02\xfftb.").tolist() == [1, 2, 255]
    scalar = b"cnumpy.core.multiarray\nscalar\nq\x01" + dtype + b"U\x01\x09\x86R."
    assert load(tmp_path, b"\x80\x02" + scalar) == 9


class Call:
    """Pickles as a call of ``function``."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def hostile(marker):
    """By the name of what they call; those of the first four make the file ``marker``."""
    return {
        "system": Call(os.system, f"touch {marker}"),
        "eval": Call(eval, f"open({str(marker)!r}, 'w').close()"),
        "exec": Call(exec, f"open({str(marker)!r}, 'w').close()"),
        "check_output": Call(subprocess.check_output, ["touch", str(marker)]),
        "import_module": Call(importlib.import_module, "antigravity"),
        "getattr": Call(getattr, b"", "join"),
        "partial": Call(functools.partial, print),
        "OrderedDict": collections.OrderedDict(a=1),
        "bytearray": Call(bytearray, 9),
        "load": Call(np.load, str(marker), None, True),
    }


NESTED = {
    "alone": lambda evil: evil,
    "in a list": lambda evil: [b"jpeg", [evil]],
    "in a tuple": lambda evil: ([b"jpeg"], (evil,)),
    "in a dict": lambda evil: {"key": evil},
    "in an array": lambda evil: np.array([b"jpeg", evil, None], object)[:2],
    "as an argument": lambda evil: Call(np.dtype, evil),
    "as a state": lambda evil: State(evil),
}


class State:
    """Pickles as an array that gets ``state``."""

    def __init__(self, state):
        self.state = state

    def __reduce__(self):
        return (*np.zeros(3).__reduce__()[:2], (1, (1,), np.dtype(object), False, [self.state]))


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("nested", NESTED)
def test_a_hostile_pickle_is_refused_by_name_and_nothing_runs(tmp_path, nested, protocol):
    marker = tmp_path / "marker"
    for name, evil in hostile(marker).items():
        data = pickle.dumps(NESTED[nested](evil), protocol)
        with refuses("a.bin", "pickle", f".{name},", error=InputError):
            load(tmp_path, data)
    assert not marker.exists()


@pytest.mark.parametrize("name", ["system", "eval", "exec", "check_output"])
def test_the_hostile_pickles_of_these_tests_do_run_with_pickle_itself(tmp_path, name):
    pickle.loads(pickle.dumps([b"jpeg", hostile(tmp_path / "marker")[name]]))
    assert (tmp_path / "marker").exists()


# Opcodes written out: c is a global, R a call, b a change of state, \x93 a global from the stack.
OPCODES = {
    b"(S'touch marker'\nios\nsystem\n.": "os.system",
    b"(cos\nsystem\nS'touch marker'\no.": "os.system",
    b"c__builtin__\neval\n(S'1'\ntR.": "__builtin__.eval",
    b"\x80\x04\x8c\x05numpy\x8c\x11ndarray.__class__\x93.": "numpy.ndarray.__class__",
    b"\x80\x04\x8c\x15numpy.core.multiarray\x8c\x18_reconstruct.__globals__\x93.": "numpy.core.multiarray",
    b"cnumpy._core._core.multiarray\nscalar\n.": "numpy._core._core.multiarray.scalar",
    b"\x80\x02\x82\x01.": "extension code 1",
    b"Pmarker\n.": "persistent",
    b"\x80\x05\x97.": "buffer",
    b"c_codecs\nencode\n(Vtext\nVrot13\ntR.": "'rot13'",
    b"c_codecs\nencode\n}b.": "function",
    b"cnumpy\nndarray\n)\x81.": "NEWOBJ",
    b"cnumpy\nndarray\n(K\x05\x85tR.": "array",
    b"cnumpy\ndtype\n(Vi4,O\ntR.": "dtype 'i4,O'",
    b"cnumpy\ndtype\n(VM8\ntR.": "dtype 'M8'",
    b"\x80\x02cnumpy\ndtype\nU\x02u1\x85R(K\x03U\x01|NU\x01a\x85}K\x08K\x08K\x00tb.": "structured dtype",
    b"\x80\x02cnumpy\ndtype\nU\x02u1\x85R(K\x03U\x03O,|NNNK\x08K\x08K\x00tb.": "dtype 'O,|u1'",
    b"]]b.": "dictionary",
}


@pytest.mark.parametrize(("data", "fact"), OPCODES.items())
def test_a_pickle_written_by_hand_is_refused(tmp_path, data, fact):
    with refuses("a.bin", fact, error=InputError):
        load(tmp_path, data)


U1 = b"cnumpy\ndtype\nq\x04U\x02u1\x85R"
OBJECT = b"cnumpy\ndtype\nq\x04U\x02O8\x85R"
EMPTY = b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n)Rq\x01"


@pytest.mark.parametrize(
    "state",
    [
        b"(K\x01K\x05\x85" + U1 + b"\x89U\x03abctb",  # five of three bytes
        b"(K\x01J\xff\xff\xff\xff\x85" + U1 + b"\x89U\x00tb",  # a negative size
        b"(K\x01J\xff\xff\xff\xffJ\xff\xff\xff\xff\x86" + U1 + b"\x89U\x01atb",  # two, whose product is positive
        b"(K\x01K\x03" + U1 + b"\x89U\x03abctb",  # a shape that is no tuple
        b"(K\x01K\x01\x85" + OBJECT + b"\x89U\x08\0\0\0\0\0\0\0\0tb",  # bytes as pointers
        b"(K\x01K\x01\x85" + OBJECT + b"\x89U\x01atb",
        b"(K\x01K\x01\x85" + U1 + b"\x89]Natb",  # objects as bytes
        b"(K\x01K\x02\x85" + OBJECT + b"\x89]Natb",  # two of one object
        b"(K\x01K\x01\x85U\x02u1\x89U\x01atb",  # no dtype
        b"(K\x01K\x01\x85" + U1 + b"\x89U\x01atbh\x01(K\x01K\x01\x85" + U1 + b"\x89U\x01atb",  # content twice
    ],
)
def test_an_array_whose_content_does_not_fit_is_refused(tmp_path, state):
    with refuses("a.bin", "array", error=InputError):
        load(tmp_path, EMPTY + state + b".")


def test_the_dtypes_of_numpy_itself_stay_as_they_are(tmp_path):
    # Without a copy asked for, the state would go to the one int32 that all of NumPy uses.
    data = b"\x80\x02cnumpy\ndtype\nU\x02i4\x85R(K\x03U\x01>NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb."
    load(tmp_path, data)
    assert np.dtype("i4").isnative and np.dtype("i4").str == np.arange(1, dtype=np.int32).dtype.str


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_a_pickle_cut_off_anywhere_is_refused(tmp_path, protocol):
    whole = pickle.dumps(([b"jpeg", np.arange(3, dtype=np.uint8)], [True]), protocol)
    for size in range(len(whole)):
        with refuses("a.bin", "pickle", error=InputError):
            load(tmp_path, whole[:size])


@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_a_damaged_byte_never_crashes(tmp_path, protocol):
    whole = pickle.dumps(([b"jpeg", np.arange(3, dtype=np.uint8)], [True]), protocol)
    for place in range(len(whole)):
        try:
            load(tmp_path, whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        except InputError as error:
            assert "a.bin" in str(error)


@pytest.mark.parametrize("data", [b"", b"\xff\xd8\xff\xe0 jpeg", b"hello", b"\0" * 99, b"PK\x03\x04", b"(" * 9, b"."])
def test_a_file_that_is_no_pickle_is_refused(tmp_path, data):
    with refuses("a.bin", "pickle", "fetch", error=InputError):
        load(tmp_path, data)


def test_a_missing_file_is_refused(tmp_path):
    with refuses("none.bin", "not exist", error=InputError):
        load_plain_pickle(tmp_path / "none.bin")


@needs_insightface
def test_the_sample_is_read_as_pickle_reads_it():
    with (INSIGHTFACE / "lfw_sample.bin").open("rb") as file:
        assert load_plain_pickle(INSIGHTFACE / "lfw_sample.bin") == pickle.load(file)
