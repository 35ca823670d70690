import numpy as np
import pytest
from image_files import GREEN, GREY, encode, plain
from measured_parts import Pictures

from facerec.data.archives.recordio_writer import pack, writing_records
from facerec.data.readers.insightface import InsightFaceRecords
from facerec.data.readers.people_names import image_keys, name_key
from facerec.data.source import Benchmark
from facerec.doctor.names import judge_counts, judge_name_overlap, judge_names


def people(*names: str) -> Pictures:
    return Pictures([plain(GREY)] * len(names), [f"{n}.jpg" for n in range(len(names))], names)


def details(findings) -> dict[str, list[dict]]:
    return {finding.name: finding.details for finding in findings}


@pytest.mark.parametrize("name", ["Jose_Nunez", "josé núñez", "JOSÉ-NÚÑEZ", "Jose.Nun\u0303ez"])
def test_spellings_of_a_name_have_one_key(name):
    assert name_key(name) == "josenunez"


@pytest.mark.parametrize("name", ["07350", "12-34", ""])
def test_a_number_is_nobody(name):
    assert name_key(name) == ""


def test_an_image_is_called_after_its_folders_and_its_numbered_file():
    assert image_keys("Aaron_Peirsol/Aaron_Peirsol_0001.jpg") == {"aaronpeirsol"}
    assert image_keys("Aaron_Peirsol_0001.jpg") == {"aaronpeirsol"}
    assert image_keys("472/profile/03.jpg") == {"profile"}
    assert image_keys("b.png") == set() == image_keys("lfw.bin image 12")


def test_identities_with_one_image_are_named():
    assert details(judge_counts(people("a", "b", "b", "c"))) == {
        "identities_with_one_image": [{"identity": "a"}, {"identity": "c"}]
    }
    assert judge_counts(people("a", "a", "b", "b")) == []


def test_names_that_differ_in_spelling_or_folder_are_alike():
    train = people("lfw/Jose_Nunez", "web/josé núñez", "web/Ann", "1/07", "2/07")
    assert details(judge_names(train)) == {
        "identity_names_alike": [{"identities": ["lfw/Jose_Nunez", "web/josé núñez"]}]
    }


def test_class_numbers_of_an_archive_that_no_image_has_are_gaps(tmp_path):
    with writing_records(tmp_path / "train.rec") as writer:
        for key, label in enumerate([0, 2, 2, 5]):
            writer.write(key, pack(float(label), key, encode(plain(GREEN))))
    found = details(judge_names(InsightFaceRecords(tmp_path)))
    assert found == {"label_gaps": [{"class": 1}, {"class": 3}, {"class": 4}]}


def test_numbered_folders_have_no_gaps():
    assert judge_names(people("0", "5")) == []


def test_identities_that_the_benchmark_shows_by_name_are_named():
    names = ["Ann_Lee/Ann_Lee_0001.jpg", "Bob_Ray/Bob_Ray_0001.jpg"]
    benchmark = Benchmark("lfw", Pictures([plain(GREY)] * 2, names), *np.array([[0], [1]]), np.array([False]))
    found = judge_name_overlap(people("lfw/ann-lee", "eve", "BOB RAY"), benchmark)
    assert found[0].part == "benchmark lfw" and details(found) == {
        "training_names_in_benchmark": [
            {"identity": "BOB RAY", "image": names[1]},
            {"identity": "lfw/ann-lee", "image": names[0]},
        ]
    }
    assert judge_name_overlap(people("eve"), benchmark) == []
