"""What is refused, word for word."""

import pytest
from says import refuses

from facerec.checks import check_choice, check_counts, check_divides


@pytest.mark.parametrize(
    ("counts", "facts"),
    [
        ({"heads": 0}, ("heads", "1", "0")),
        ({"heads": 2.5}, ("heads", "1", "2.5")),
        ({"generator_layers": -1}, ("generator_layers", "0", "-1")),
        ({"generator_kernel_size": 4}, ("generator_kernel_size", "odd", "4")),
        ({"window": 6}, ("window", "odd", "6")),
        ({"channels": 4, "kernel_size": 0}, ("kernel_size", "1", "0")),
    ],
    ids=str,
)
def test_a_count_out_of_range_is_refused(counts, facts):
    with refuses(*facts):
        check_counts(**counts)


def test_counts_in_range_pass():
    check_counts(channels=4, heads=1, kernel_size=3, generator_layers=0, window=7)


def test_a_word_that_is_not_known_is_refused_with_those_that_are():
    check_choice("where", "dw", ("dw", "all"))
    with refuses("where", "dw", "all", "pw"):
        check_choice("where", "pw", ("dw", "all"))


@pytest.mark.parametrize(
    ("divisor", "channels", "even_share", "facts"),
    [
        (8, 58, False, ("heads=8", "58 channels", "1, 2, 29, 58")),
        (8, 24, True, ("heads=8", "24 channels", "even", "1, 2, 3, 4, 6, 12")),
        (0, 4, False, ("heads=0", "4 channels", "1, 2, 4")),
        (1, 3, True, ("heads=1", "3 channels", "even", "width")),
    ],
)
def test_shares_that_do_not_come_out_even_are_refused_with_those_that_do(divisor, channels, even_share, facts):
    with refuses(*facts):
        check_divides("heads", divisor, channels, even_share)


def test_shares_that_come_out_even_pass():
    check_divides("heads", 8, 48)
    check_divides("heads", 8, 48, even_share=True)
