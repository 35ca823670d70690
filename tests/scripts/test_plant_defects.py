import json

import pytest
from says import says
from shared_data import FACES, needs_faces

from facerec.commands.main import module_of


@pytest.fixture
def run(capsys):
    def planted(*arguments: str):
        status = module_of("plant_defects").main(list(arguments))
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return planted


@needs_faces
def test_what_is_planted_in_real_faces_is_found(run, tmp_path):
    arguments = ["data=folder", f"data.root={FACES}", "data.train_list=train_mini.txt", "identities=8", "images=10"]
    status, printed, shown = run(*arguments, f"out={tmp_path / 'table.json'}")
    outcomes = json.loads(printed)
    assert status == 0 and outcomes == json.loads((tmp_path / "table.json").read_text()) and "missed" in shown
    assert len(outcomes) == 27 and all(outcome["planted"] for outcome in outcomes)
    for outcome in outcomes:
        assert outcome["missed"] <= 0.1 * outcome["planted"], outcome
        assert outcome["false_alarms"] <= 1 and outcome["untouched"] <= 6, outcome


def test_of_three_equal_images_any_two_pairs_explain_the_third():
    script = module_of("plant_defects")
    pair = {name: frozenset(name) for name in ("ab", "bc", "ac", "de", "cd", "x", "y")}
    assert script.unexplained({pair["ac"]}, {pair["ab"], pair["bc"]}) == 0
    assert script.unexplained({pair["ac"], pair["cd"]}, {pair["ab"], pair["bc"], pair["de"]}) == 1
    assert script.unexplained({pair["ac"]}, {pair["ab"], pair["de"], pair["cd"], pair["bc"]}) == 0
    assert script.unexplained({pair["x"], pair["y"]}, {pair["x"]}) == 1


@pytest.mark.parametrize("argument", ["identities=0", "images=many", "seed="])
def test_a_number_that_is_none_is_refused(run, argument):
    key, _, value = argument.partition("=")
    status, printed, shown = run(argument)
    assert status == 1 and printed == ""
    assert says(shown, key, "at least 1", repr(value)) and shown.count("\n") == 1


def test_too_few_identities_are_refused(run):
    data = ["data=synthetic", "data.num_identities=8", "data.images_per_identity=2", "data.global_batch_size=16"]
    status, _, shown = run(*data, "identities=5")
    assert status == 1
    assert says(shown, "identities=5", "twice", "8", "lower") and shown.count("\n") == 1
