"""From photographs to a decision: faces that are known, distances by hand, and a sentence for each mistake."""

from io import BytesIO

import cv2
import numpy as np
import pytest
from drawn_photos import Knows, Placed, drawn, photo, write_photo
from image_files import encode
from known_faces import coarse, rates
from PIL import Image
from says import refuses, says

from facerec.errors import InputError
from facerec.recognise import Recogniser
from facerec.recognise.comparison_picture import comparison_picture
from facerec.recognise.face_finder import decode_photograph
from facerec.recognise.face_network import FaceNetwork

ANN, BOB = Placed(0), Placed(1, 200, 60, 84)
ALONE, BOTH, NOBODY = photo(ANN), photo(ANN, BOB), photo()
DETECTOR = Knows([(ALONE, [ANN]), (BOTH, [ANN, BOB])])
RATES = rates()


def recogniser(detector=DETECTOR, sums_flip=False, rates=RATES) -> Recogniser:
    return Recogniser(FaceNetwork("net.onnx", "1a2b", (112, 112), sums_flip, coarse, rates), detector)


def cosine(one: np.ndarray, other: np.ndarray) -> float:
    return float(one @ other / np.sqrt((one @ one) * (other @ other)))


@pytest.mark.parametrize("face", [1, 2])
def test_a_face_comes_to_the_network_as_it_was_before_the_photograph(face):
    found = recogniser().finder
    aligned = found.align(found.look(BOTH), face)
    person = [ANN, BOB][face - 1].person
    error = np.abs(aligned.astype(float) - drawn(person))
    assert np.median(error) < (1 if face == 1 else 8) and aligned.shape == (112, 112, 3)


@pytest.mark.parametrize("sums_flip", [False, True])
def test_the_cosine_is_that_of_the_embeddings(sums_flip):
    compared = recogniser(sums_flip=sums_flip).compare(BOTH, BOTH, faces=(1, 2))
    sides = [recogniser().finder.align(photograph, face)[None] for photograph, face in zip(
        compared.photographs, (1, 2), strict=True)]  # fmt: skip
    both = [coarse(side)[0] + (coarse(side[:, :, ::-1])[0] if sums_flip else 0) for side in sides]
    assert compared.cosine == pytest.approx(cosine(*both), abs=1e-5)
    assert compared.squared_distance == pytest.approx(2 - 2 * compared.cosine)
    assert compared.fmr_of_cosine == RATES.at(compared.cosine)[0]


def test_the_decision_is_by_the_threshold_at_the_fmr():
    ours = recogniser()
    assert ours.compare(ALONE, ALONE).same_person and ours.compare(ALONE, ALONE).cosine == pytest.approx(1)
    threshold = ours.threshold(fmr="1e-2")
    assert threshold.cosine == RATES.threshold("1e-2") and threshold.fmr == RATES.at_fmr["1e-2"]["fmr"]
    score = ours.compare(ALONE, BOTH, threshold, faces=(1, 2)).cosine
    accepted = ours.compare(ALONE, BOTH, ours.threshold(score - 1e-4), faces=(1, 2))
    rejected = ours.compare(ALONE, BOTH, ours.threshold(score), faces=(1, 2))
    assert accepted.same_person and not rejected.same_person
    assert says(accepted.sentence(), "the same person", f"{score:.4f}", "FMR", "FNMR", "drawn")
    assert says(rejected.sentence(), "not the same person", "not above")
    assert accepted.threshold.fmr == RATES.at(score - 1e-4)[0]
    assert accepted.summary()["faces_found"] == [1, 2] and accepted.summary()["same_person"] is True


def test_without_measured_rates_a_threshold_must_be_given():
    unknown = recogniser(rates="nobody looked")
    with refuses("net.onnx", "nobody looked", "threshold=", error=InputError):
        unknown.compare(ALONE, ALONE)
    compared = unknown.compare(ALONE, ALONE, unknown.threshold(0.5))
    assert says(compared.sentence(), "never measured") and compared.summary()["fmr"] is None
    with refuses("net.onnx", "fmr=1e-6", "non-mated pairs", "threshold=", error=InputError):
        recogniser().threshold(fmr="1e-6")


def test_faces_are_numbered_from_the_largest_and_missing_ones_are_said(tmp_path):
    ours, empty = recogniser(), write_photo(tmp_path / "empty.png")
    assert [face.area for face in ours.look(BOTH).faces] == [112**2, 84**2]
    with refuses("2 faces", "face=3", "1 to 2", error=InputError):
        ours.compare(ALONE, BOTH, faces=(1, 3))
    with refuses("1 face", "face=2", error=InputError):
        ours.compare(ALONE, BOTH, faces=(2, 1))
    with refuses("no face", str(empty), "min_score", error=InputError):
        ours.compare(ALONE, empty)


def test_without_a_detector_an_image_is_an_aligned_face():
    ours = recogniser(None)
    larger = cv2.resize(drawn(0), (224, 224), interpolation=cv2.INTER_NEAREST)
    assert ours.compare(drawn(0), larger).cosine == pytest.approx(1, abs=1e-4)
    np.testing.assert_array_equal(ours.finder.align(ours.look(drawn(2))), drawn(2))


def test_an_oblong_network_sees_the_face_stretched():
    finder = Recogniser(FaceNetwork("", "", (112, 96), False, coarse, RATES), DETECTOR).finder
    expected = cv2.resize(drawn(0), (96, 112), interpolation=cv2.INTER_AREA)
    assert np.median(np.abs(finder.align(finder.look(ALONE)).astype(float) - expected)) < 3


def test_the_picture_has_boxes_in_the_colour_of_the_decision():
    ours = recogniser()
    page = comparison_picture(ours.compare(ALONE, BOTH, ours.threshold(0.5)))
    height, width = page.shape[:2]
    green = (page == (0, 150, 60)).all(-1)
    grey = (page == (130, 130, 130)).all(-1)
    assert height > 480 and width > 640 and green[:, : width // 2].any() and green[:, width // 2 :].any()
    assert grey[:, width // 2 :].sum() > 100
    refused = comparison_picture(ours.compare(ALONE, ALONE, ours.threshold(1.0)))
    assert (refused == (210, 40, 40)).all(-1).any() and not (refused == (0, 150, 60)).all(-1).any()


def saved(image: Image.Image, format: str, **options) -> bytes:
    file = BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def test_a_photograph_is_turned_as_it_is_displayed():
    exif = Image.Exif()
    exif[0x0112] = 6  # turn it by 90 degrees to the right to see it upright
    turned = Image.fromarray(np.rot90(ALONE))
    data = saved(turned, "JPEG", quality=95, subsampling=0, exif=exif)
    upright = decode_photograph(data, "a.jpg")
    assert upright.shape == ALONE.shape and np.median(np.abs(upright.astype(float) - ALONE)) < 3


@pytest.mark.parametrize(
    ("mode", "format"),
    [("L", "PNG"), ("RGBA", "PNG"), ("I;16", "PNG"), ("CMYK", "JPEG"), ("P", "GIF"), ("RGB", "WEBP"), ("RGB", "TIFF")],
)
def test_other_kinds_of_pictures_are_read(mode, format):
    grey = np.asarray(Image.fromarray(ALONE).convert("L"))
    image = Image.fromarray(grey.astype(np.uint16) * 257) if mode == "I;16" else Image.fromarray(grey).convert(mode)
    found = decode_photograph(saved(image, format), "a")
    assert found.shape == ALONE.shape and np.median(np.abs(found.astype(float) - grey[..., None])) < 4


def test_what_is_no_photograph_is_said(tmp_path):
    frames = [Image.fromarray(np.full((8, 8, 3), shade, np.uint8)) for shade in (0, 120, 240)]
    for format in ("GIF", "WEBP"):
        moving = saved(frames[0], format, save_all=True, append_images=frames[1:])
        with refuses("a.gif", "3 frames", "PNG", error=InputError):
            decode_photograph(moving, "a.gif")
    heic = b"\0\0\0\x18ftypheic" + bytes(40)
    with refuses("a.heic", "HEIC", "JPEG", error=InputError):
        decode_photograph(heic, "a.heic")
    with refuses("gone.jpg", "No such file", error=InputError):
        recogniser().look(tmp_path / "gone.jpg")
    (tmp_path / "text.jpg").write_text("no photograph")
    with refuses("text.jpg", "cannot be decoded", error=InputError):
        recogniser().look(tmp_path / "text.jpg")


def test_sixty_megapixels_are_read():
    data = encode(np.full((6000, 10_000, 3), 77, np.uint8), ".jpg")
    image = decode_photograph(data, "large.jpg")
    assert image.shape == (6000, 10_000, 3) and int(image[5000, 9000, 0]) == 77


def test_an_embedding_without_a_direction_names_the_model():
    broken = FaceNetwork("net.onnx", "", (112, 112), False, lambda faces: np.zeros((len(faces), 4)), RATES)
    with refuses("net.onnx", "all-zero", error=InputError):
        Recogniser(broken, DETECTOR).compare(ALONE, ALONE)
