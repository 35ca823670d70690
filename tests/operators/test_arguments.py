"""What is refused, word for word."""

import pytest

from facerec.checks import check_choice, check_counts, check_divides


@pytest.mark.parametrize(
    ("counts", "sentence"),
    [
        ({"heads": 0}, "heads must be a whole number of at least 1, got 0"),
        ({"heads": 2.5}, "heads must be a whole number of at least 1, got 2.5"),
        ({"generator_layers": -1}, "generator_layers must be a whole number of at least 0, got -1"),
        ({"generator_kernel_size": 4}, "generator_kernel_size must be odd, got 4"),
        ({"window": 6}, "window must be odd, got 6"),
        ({"channels": 4, "kernel_size": 0}, "kernel_size must be a whole number of at least 1, got 0"),
    ],
    ids=str,
)
def test_a_count_out_of_range_is_refused(counts, sentence):
    with pytest.raises(ValueError) as refusal:
        check_counts(**counts)
    assert str(refusal.value) == sentence


def test_counts_in_range_pass():
    check_counts(channels=4, heads=1, kernel_size=3, generator_layers=0, window=7)


def test_a_word_that_is_not_known_is_refused_with_those_that_are():
    check_choice("where", "dw", ("dw", "all"))
    with pytest.raises(ValueError, match=r"^where must be one of dw, all, got 'pw'$"):
        check_choice("where", "pw", ("dw", "all"))


@pytest.mark.parametrize(
    ("divisor", "channels", "even_share", "sentence"),
    [
        (8, 58, False, "heads=8 does not divide 58 channels into equal shares; possible are 1, 2, 29, 58"),
        (8, 24, True, "heads=8 does not divide 24 channels into even shares; possible are 1, 2, 3, 4, 6, 12"),
        (0, 4, False, "heads=0 does not divide 4 channels into equal shares; possible are 1, 2, 4"),
        (1, 3, True, "heads=1 does not divide 3 channels into even shares; possible are none: choose another width"),
    ],
)
def test_shares_that_do_not_come_out_even_are_refused_with_those_that_do(divisor, channels, even_share, sentence):
    with pytest.raises(ValueError) as refusal:
        check_divides("heads", divisor, channels, even_share)
    assert str(refusal.value) == sentence


def test_shares_that_come_out_even_pass():
    check_divides("heads", 8, 48)
    check_divides("heads", 8, 48, even_share=True)
