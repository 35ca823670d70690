from facerec.alignment.align import Outcome
from facerec.alignment.summary import Summary


def reasons(*failures: tuple[str, str]) -> list[tuple[str, int]]:
    summary = Summary()
    for path, reason in failures:
        summary.add(Outcome(path, reason))
    return summary.reasons()


def test_reasons_that_differ_in_numbers_are_one() -> None:
    crop = "the crop of 134 pixels from (58, 51) reaches beyond the image of {} pixels: give another crop"
    assert reasons(("a.jpg", crop.format("90x80")), ("b.jpg", "other: x"), ("c.jpg", crop.format("70x60"))) == [
        ("the crop of … pixels from (…, …) reaches beyond the image of …x… pixels", 2),
        ("other", 1),
    ]


def test_a_reason_that_is_always_the_same_keeps_its_numbers() -> None:
    assert reasons(("a.jpg", "the image of 90x80 pixels: x"), ("b.jpg", "the image of 90x80 pixels: x")) == [
        ("the image of 90x80 pixels", 2)
    ]


def test_reasons_that_differ_in_the_path_are_one() -> None:
    read = "fiducial file cfp/Fiducials/{} cannot be read (No such file or directory): check fiducials="
    assert reasons(
        ("ann/frontal/a.jpg", read.format("ann/frontal/a.txt")), ("bob/frontal/b.jpg", read.format("bob/frontal/b.txt"))
    ) == [("fiducial file cfp/Fiducials/….txt cannot be read (No such file or directory)", 2)]
    cut = "image {} is cut off after {} bytes: fetch it again"
    assert reasons(("a: b.jpg", cut.format("a: b.jpg", 7)), ("c\nd.jpg", cut.format("c\\nd.jpg", 9))) == [
        ("image is cut off after … bytes", 2)
    ]
