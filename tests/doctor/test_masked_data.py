"""The check of photographs with masks: each planted defect is found, and nothing else."""

import io
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from fundus_files import DOFE_VALUES, small_image, small_mask, write_dofe, write_domains, write_mask
from image_files import write_image
from PIL import Image
from says import every, says
from shared_data import FUNDUS, needs_fundus

from facerec.commands.main import module_of
from facerec.data.fundus.segmentation_modules import DofeData, DrawnEyesData, FundusData
from facerec.doctor.findings import Finding, write_examples
from facerec.doctor.mask_survey import cup_beside_background, measure_mask, unusual_format
from facerec.doctor.masked_data import MaskReport, check_masked_data


@pytest.fixture
def root(tmp_path):
    """Three domains of ten images, each with a mask that no other has."""
    write_domains(tmp_path)
    make_distinct(tmp_path)
    return tmp_path


def make_distinct(root: Path) -> None:
    """Give each of up to 36 images its own mask, and pixels that are more red than blue."""
    for place, file in enumerate(sorted(root.rglob("image/*.png"))):
        write_image(file, red_image(place))
    for place, file in enumerate(sorted(root.rglob("mask/*.png"))):
        mask = np.roll(small_mask(), (place // 6 - 2, place % 6 - 1), (0, 1))
        write_mask(file, DOFE_VALUES[mask] if "ROIs" in file.parts else mask)


def red_image(number: int, side: int = 20) -> np.ndarray:
    return (small_image(number, side) * [1.0, 0.8, 0.2]).astype(np.uint8)


def checked(root: Path, **changes) -> MaskReport:
    return check_masked_data(FundusData(**{"root": str(root), "image_size": (16, 16), "num_workers": 0, **changes}))


def only(report: MaskReport) -> Finding:
    (found,) = report.findings
    return found


def test_sound_data_is_summarised_by_domain(root, capsys):
    report = checked(root)
    assert report.is_sound and report.findings == [] and report.unreadable == [] and report.problems == []
    assert report.images == 30 and report.image_sizes == {"20x20": 30}
    assert list(report.domains) == ["east", "north", "west"]
    assert report.domains["west"] == {
        **{"train": 8, "test": 2, "image_sizes": {"20x20": 10}, "findings": []},
        **{"disc_share": [0.36, 0], "cup_share": [0.075, 0], "cup_to_disc": [pytest.approx(5 / 12, abs=1e-4), 0]},
    }
    printed = capsys.readouterr()
    assert printed.out == "" and "decoding images" in printed.err


def test_workers_find_the_same(root):
    (root / "east/image/03.png").write_bytes(b"")
    write_mask(root / "east" / "mask" / "04.png", 100 * small_mask())
    assert checked(root, num_workers=1) == checked(root)


class TestFiles:
    def test_all_that_the_reader_refuses_is_listed_with_its_sentences(self, root):
        (root / "west/mask/04.png").unlink()
        (root / "east/image/00.png").unlink()
        (root / "south/image").mkdir(parents=True)
        found = only(checked(root))
        assert (found.name, found.severity, found.part, found.count) == ("wrong_files", "error", "all data", 3)
        facts = (("east/mask/00.png", "no image"), ("south", "no masks"), ("west/image/04.png", "no mask"))
        assert every(says(d["problem"], *fact) for d, fact in zip(found.details, facts, strict=True))

    def test_a_root_that_is_not_there_is_a_problem(self, root):
        report = checked(root / "gone")
        assert (report.images, report.domains) == (0, {}) and only(report).name == "unopened_parts"
        assert says(report.problems[0], str(root / "gone"), "does not exist")

    def test_an_unseen_domain_that_does_not_exist_is_a_problem_and_the_rest_is_checked(self, root):
        report = checked(root, unseen="wset")
        assert says(report.problems[0], "data.unseen=wset", "'west'") and report.images == 30

    def test_an_unreadable_image(self, root):
        (root / "west/image/04.png").write_bytes(b"")
        report = checked(root)
        assert [each["image"] for each in report.unreadable] == ["west/image/04.png"]
        assert (only(report).name, only(report).part) == ("unreadable_images", "domain west")

    @pytest.mark.parametrize(
        ("data", "facts"),
        [
            (b"", ("empty",)),
            (cv2.imencode(".png", 100 * small_mask())[1].tobytes(), ("0, 100, 200", "144 of its 400 pixels")),
            (cv2.imencode(".png", small_mask().astype(np.uint16))[1].tobytes(), ("16 bits",)),
            (cv2.imencode(".png", cv2.merge([small_mask()] * 4))[1].tobytes(), ("RGBA",)),
        ],
    )
    def test_a_mask_that_is_none(self, root, data, facts):
        (root / "west/mask/04.png").write_bytes(data)
        found = only(checked(root))
        assert (found.name, found.severity, found.part) == ("unusable_masks", "error", "domain west")
        assert found.details[0]["mask"] == str(root / "west/mask/04.png")
        assert says(found.details[0]["problem"], *facts)

    def test_a_mask_of_another_size(self, root):
        write_mask(root / "west" / "mask" / "04.png", small_mask(side=24))
        found = only(checked(root))
        assert (found.name, found.severity) == ("masks_of_other_sizes", "error")
        assert says(found.details[0]["problem"], "24x24", "20x20", "west/image/04.png")

    def test_files_of_16_bits_and_with_transparency(self, root):
        deep, clear = red_image(97)[..., ::-1].astype(np.uint16) * 257, cv2.cvtColor(red_image(98), cv2.COLOR_RGB2BGRA)
        for name, pixels in (("03", deep), ("04", clear)):
            (root / "west/image" / f"{name}.png").write_bytes(cv2.imencode(".png", pixels)[1].tobytes())
        found = only(checked(root))
        assert (found.name, found.severity) == ("unusual_files", "warning")
        assert [d["format"] for d in found.details] == ["16 bits a channel", "transparency"]


@pytest.mark.parametrize(
    ("kind", "mode", "expected"),
    [
        *(("PNG", mode, "") for mode in ("L", "RGB", "P")),
        *(("PNG", mode, "transparency") for mode in ("RGBA", "LA")),
        *(("WEBP", mode, found) for mode, found in (("RGB", ""), ("RGBA", "transparency"))),
        ("JPEG", "RGB", ""),
    ],
)
def test_transparency_is_known_by_the_files_header(kind, mode, expected):
    file = io.BytesIO()
    Image.new(mode, (8, 8)).save(file, kind)
    assert unusual_format(file.getvalue()) == expected


def test_what_is_no_image_has_no_format():
    assert unusual_format(b"") == unusual_format(b"no image at all") == ""


class TestShapes:
    def found_for(self, root, mask: np.ndarray) -> Finding:
        write_mask(root / "west" / "mask" / "04.png", mask)
        found = only(checked(root))
        assert found.part == "domain west" and found.details[0]["image"] == "west/image/04.png" and found.count == 1
        return found

    def test_no_disc(self, root):
        found = self.found_for(root, np.zeros_like(small_mask()))
        assert (found.name, found.severity) == ("masks_without_disc", "warning")

    def test_no_cup(self, root):
        assert self.found_for(root, np.minimum(small_mask(), 1)).name == "masks_without_cup"

    def test_a_cup_that_leaves_the_disc(self, root):
        mask = small_mask()
        mask[2:9, 8] = 2
        found = self.found_for(root, mask)
        # Above the disc, two rows of one pixel, and the pixel on the edge of the disc.
        assert found.name == "cups_outside_disc" and found.details[0]["pixels"] == 2

    def test_a_disc_and_a_cup_in_parts(self, root):
        mask = small_mask()
        mask[0, 0] = mask[0, 19] = 1
        found = self.found_for(root, mask)
        assert found.name == "discs_in_parts" and found.details[0]["parts"] == 3
        mask = small_mask()
        mask[14, 5] = 2
        assert self.found_for(root, mask).name == "cups_in_parts"

    def test_a_cup_beside_the_background_by_its_neighbours(self):
        rng = np.random.default_rng(0)
        for _ in range(20):
            mask = rng.choice(3, (7, 9), p=(0.1, 0.5, 0.4)).astype(np.uint8)
            expected = np.zeros(mask.shape, bool)
            for y, x in zip(*np.nonzero(mask == 2), strict=True):
                near = [(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]
                expected[y, x] = any(0 <= a < 7 and 0 <= b < 9 and mask[a, b] == 0 for a, b in near)
            np.testing.assert_array_equal(cup_beside_background(mask), expected)
            measured = measure_mask(mask)
            assert measured["outside"] == expected.sum()
            assert measured["pixels"].tolist() == [(mask == 2).sum(), (mask > 0).sum()]


class TestImages:
    def test_sizes(self, root):
        write_image(root / "west" / "image" / "04.png", red_image(4, side=14))
        write_mask(root / "west" / "mask" / "04.png", small_mask()[3:17, 3:17])
        write_image(root / "east" / "image" / "05.png", red_image(5)[:, 2:])
        write_mask(root / "east" / "mask" / "05.png", small_mask()[:, 2:])
        found = {(finding.name, finding.part): finding for finding in checked(root).findings}
        assert set(found) == {
            *(("not_square", "domain east"), ("other_sizes", "domain east")),
            *(("small_images", "domain west"), ("other_sizes", "domain west")),
        }
        assert says(found["other_sizes", "domain west"].sentence, "20x20")
        assert found["small_images", "domain west"].details == [{"image": "west/image/04.png", "size": "14x14"}]

    def test_swapped_colours(self, root):
        for file in (root / "west" / "image").iterdir():
            write_image(file, np.ascontiguousarray(red_image(90 + int(file.stem))[..., ::-1]))
        found = [finding for finding in checked(root).findings if finding.name == "swapped_channels"]
        assert [finding.part for finding in found] == ["domain west"] and says(found[0].sentence, "retina")


class TestRepeated:
    def copied(self, root, source: str, target: str) -> None:
        (root / target).write_bytes((root / source).read_bytes())

    def test_one_image_in_two_domains(self, root):
        self.copied(root, "west/image/04.png", "east/image/07.png")
        found = only(checked(root))
        assert (found.name, found.severity) == ("duplicates_across_domains", "error")
        assert says(found.sentence, "not unseen")
        assert found.details == [
            {
                "images": ["east/image/07.png", "west/image/04.png"],
                "domains": ["east", "west"],
                "splits": ["train", "train"],
                "same_mask": False,
                "likeness": "equal",
                "distance": 0,
            }
        ]
        assert len(found.examples) == 2

    def test_one_image_in_two_domains_brighter_in_one(self, root):
        image = red_image(99) // 2
        write_image(root / "west/image/04.png", image)
        write_image(root / "east/image/07.png", image + 9)
        found = only(checked(root))
        assert (found.name, found.details[0]["likeness"]) == ("near_duplicates_across_domains", "alike")

    def test_one_image_twice_in_a_domain(self, root):
        self.copied(root, "west/image/04.png", "west/image/05.png")
        self.copied(root, "west/mask/04.png", "west/mask/05.png")
        found = only(checked(root))
        assert (found.name, found.severity) == ("duplicates", "warning")
        assert found.details[0]["splits"] == ["train", "test"] and found.details[0]["same_mask"] is True

    def test_one_mask_for_two_images(self, root):
        self.copied(root, "west/mask/04.png", "east/mask/05.png")
        found = only(checked(root))
        assert found.name == "masks_of_several_images"
        assert found.details == [{"images": ["east/image/05.png", "west/image/04.png"]}]

    def test_a_copy_of_an_image_beside_another_with_the_same_mask(self, root):
        self.copied(root, "west/image/04.png", "west/image/05.png")
        for name in ("west/mask/05.png", "west/mask/06.png"):
            self.copied(root, "west/mask/04.png", name)
        assert [finding.name for finding in checked(root).findings] == ["duplicates", "masks_of_several_images"]

    def test_empty_masks_are_no_copies(self, root):
        for name in ("04", "05"):
            write_mask(root / "west" / "mask" / f"{name}.png", np.zeros_like(small_mask()))
        assert only(checked(root)).name == "masks_without_disc"


class TestDomains:
    def test_a_single_one(self, root):
        found = only(checked(root, domains=["west"]))
        assert (found.name, found.severity) == ("one_domain", "error")

    def test_images_that_are_all_for_tests_or_for_training(self, root):
        splits = {"east": "test", "north": "train"}
        lines = [
            f"{domain},{number:02},{splits.get(domain, 'train' if number % 2 else 'test')}"
            for domain in ("east", "north", "west")
            for number in range(10)
        ]
        (root / "splits.csv").write_text("\n".join(["domain,name,split", *lines, ""]))
        found = {finding.name: finding.part for finding in checked(root).findings}
        assert found == {"no_training_images": "domain east", "no_test_images": "domain north"}


def test_the_examples_show_the_outlines(root, tmp_path):
    mask = small_mask()
    mask[2:9, 8] = 2
    write_mask(root / "west" / "mask" / "04.png", mask)
    (example,) = only(checked(root)).examples
    shown, plain = example.source.load(example.index), red_image(24)
    assert example.caption == "west/image/04.png\npixels 2"
    assert (shown[4, 3] == (0, 255, 0)).all() and (shown[9, 6] == (255, 255, 0)).all()
    np.testing.assert_array_equal(shown[0], plain[0])
    write_examples([only(checked(root))], tmp_path / "page.png")
    with Image.open(tmp_path / "page.png") as page:
        assert page.width > 1000


def test_dofes_archive(tmp_path):
    write_dofe(tmp_path, (1, 2, 4))
    make_distinct(tmp_path)
    module = DofeData(root=str(tmp_path), image_size=(16, 16), num_workers=0)
    report = check_masked_data(module)
    names = [finding.name for finding in report.findings]
    assert names == ["wrong_files"] and says(report.findings[0].details[0]["problem"], "refuge", "Domain3")
    assert report.domains["refuge"]["train"] == 0 and report.images == 9


def test_drawn_eyes_are_sound():
    module = DrawnEyesData(num_train=2, num_test=1, side=64, image_size=(64, 64), num_workers=0)
    assert check_masked_data(module).findings == []


class TestCommand:
    def run(self, capsys, *arguments: str):
        status = module_of("check_data").main(list(arguments))
        return status, capsys.readouterr()

    def arguments(self, root: Path, *more: str) -> list[str]:
        return ["data=fundus", f"data.root={root}", "data.num_workers=0", "image_size=16", *more]

    def test_a_table_by_domain_and_one_line_of_json(self, root, capsys):
        status, printed = self.run(capsys, *self.arguments(root))
        report = json.loads(printed.out)
        assert status == 0 and set(report) == {
            *("images", "domains", "image_sizes", "unreadable", "problems", "findings"),
        }
        assert says(printed.err, "north", "20x20", "36.0 ± 0.0", "0.42 ± 0.00")

    def test_sentences_and_status_1(self, root, capsys, tmp_path):
        write_mask(root / "west" / "mask" / "04.png", 100 * small_mask())
        (root / "east/image/00.png").unlink()
        status, printed = self.run(capsys, *self.arguments(root, f"out={tmp_path / 'found'}"))
        assert status == 1 and says(
            printed.err, "west/mask/04.png has values 0, 100, 200", "east/mask/00.png has no image"
        )
        full = json.loads((tmp_path / "found/report.json").read_text())
        assert [finding["name"] for finding in full["findings"]] == ["wrong_files", "unusable_masks"]
        assert (tmp_path / "found/report.png").is_file()

    @pytest.mark.parametrize("key", ["checkpoint", "subcentre_checkpoint"])
    def test_what_compares_faces_is_refused(self, root, capsys, tmp_path, key):
        status, printed = self.run(capsys, *self.arguments(root, f"{key}=net.ckpt", f"out={tmp_path / 'found'}"))
        assert status == 1 and says(printed.err, f"{key}=net.ckpt", "faces", "leave it out")


@needs_fundus
def test_the_real_folders_have_one_odd_cup():
    report = checked(FUNDUS, image_size=(256, 256))
    found = {finding.name: (finding.part, finding.count) for finding in report.findings}
    assert found == {"no_training_images": ("domain origa", 1), "cups_outside_disc": ("domain refuge", 1)}
