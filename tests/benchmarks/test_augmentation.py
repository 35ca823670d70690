"""Every transform of the configuration is measured."""

from facerec.config.options import CONFIG_FOLDER
from facerec.perf.augmentation_speed import FLIP, ONE_BY_ONE, STEP, cases
from facerec.perf.timing import QUICK, Effort


def test_a_case_runs_for_every_transform_that_the_configuration_has():
    (case,) = cases(QUICK)
    found = case.run().contenders
    files = {file.stem.replace("_", "") for file in (CONFIG_FOLDER / "augmentation").glob("*.yaml")}
    others = {STEP.lower(), FLIP, ONE_BY_ONE.lower()}
    assert {name.lower() for name in found} == others | (files - {"none", "torchvision"})


def test_the_batch_is_the_one_of_the_issue():
    (case,) = cases(Effort())
    assert case.name == "MobileNetV2 x0.1, 96 x 96, batch 128: a batch"
