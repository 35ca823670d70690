import cv2
import numpy as np
import pytest
from image_files import BLUE, GREEN, RED, plain
from says import refuses

from facerec.errors import InputError
from facerec.plots.contact_sheet import Section, write_contact_sheet


def page(path):
    return cv2.imread(str(path))[..., ::-1]


def test_each_image_stands_in_its_place(tmp_path):
    images = [plain(colour, (20, 20)) for colour in (RED, GREEN, BLUE)]
    write_contact_sheet([Section("three", images, ["a", "b", "c"])], tmp_path / "page.png", columns=2, side=40)
    drawn = page(tmp_path / "page.png")
    assert drawn.shape[1] == 2 * 46 + 6
    row = drawn[30 + 20]  # below the title, through the middle of the first row
    assert tuple(row[6 + 20]) == RED and tuple(row[6 + 46 + 20]) == GREEN and tuple(row[3]) == (255, 255, 255)
    blue = np.argwhere((drawn == BLUE).all(axis=2))
    assert len(blue) == 40 * 40 and blue[0].tolist()[1] == 6


def test_an_image_of_another_shape_keeps_it(tmp_path):
    write_contact_sheet([Section("wide", [plain(RED, (10, 40))], ["wide"])], tmp_path / "page.png", side=80)
    red = np.argwhere((page(tmp_path / "page.png") == RED).all(axis=2))
    assert (red.max(axis=0) - red.min(axis=0) + 1).tolist() == [20, 80]


@pytest.mark.parametrize("caption", ["", "école/Ünal Žák.jpg", "one\ntwo\nthree", "w" * 500])
def test_any_caption_can_be_drawn(tmp_path, caption):
    write_contact_sheet([Section("Überschrift", [plain(RED)], [caption])], tmp_path / "page.png")
    assert page(tmp_path / "page.png").shape[1] == 10 * 102 + 6


def test_a_section_without_images_shows_its_title_alone(tmp_path):
    write_contact_sheet([Section("nothing was found", [], [])], tmp_path / "page.png")
    drawn = page(tmp_path / "page.png")
    assert drawn.shape[0] == 30 and drawn.min() < 128


def test_a_page_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with refuses("page.png", "written", error=InputError):
        write_contact_sheet([Section("a", [plain(RED)], ["a"])], tmp_path / "file" / "page.png")


def test_letters_that_the_font_lacks_are_escaped_and_others_are_not(tmp_path):
    def drawn(title: str, caption: str) -> np.ndarray:
        write_contact_sheet([Section(title, [plain(RED)], [caption])], tmp_path / "page.png", columns=4, side=200)
        return page(tmp_path / "page.png")

    as_escapes = drawn(r"\u674e\u660e", r"\u674e Ж\udce9\t\U0001f9ff")
    np.testing.assert_array_equal(drawn("李明", "李 Ж\udce9\t🧿"), as_escapes)
    assert not np.array_equal(drawn(r"\u674e\u660e", r"\u674e \u0416\udce9\t\U0001f9ff"), as_escapes)
