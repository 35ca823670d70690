"""Set up for all tests."""

from pathlib import Path

import pytest
import torch

from facerec.data.decode import use_one_thread

# The shapes are tiny: on a busy machine threads wait for each other ten times as long as they compute.
torch.set_num_threads(1)
use_one_thread()


# Trainings, exports, whole programs and real data: what `make test-fast` leaves to `make test`.
_SLOW = (
    *("scripts/", "exporting/", "benchmarks/", "callbacks/", "operators/test_learning", "frontal/"),
    *("data/test_datamodule_in", "data/test_synthetic", "data/test_sampling", "doctor/", "alignment/test_align"),
    *("test_growth", "test_resume_inside"),
    *("test_train", "test_sweep", "test_program", "test_two_devices", "test_reference", "test_operators_page"),
    *(
        "test_readme",
        "test_fine_tuning",
        "test_sensitivity",
        "test_house",
        "test_verifier",
        "test_recognizer",
        "test_results",
    ),
    *(
        "test_plots",
        "test_page",
        "test_report",
        "test_runtime",
        "test_build",
        "test_checkpoints",
        "test_config",
        "test_compos",
    ),
    *(
        "recognise/test_serve",
        "operators/test_axial",
        "backbones/",
        "test_deploy",
        "data/test_insightface",
        "data/test_held",
    ),
    *(
        "test_start_methods",
        "test_loggers",
        "test_feature_variance",
        "test_imports",
        "test_cost",
    ),
    *("data/fundus/test_drawn", "data/fundus/test_segmentation"),
    *("operators/test_operators", "operators/test_cost", "data/test_modules", "data/test_packed", "kernels/"),
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as slow what is named in `_SLOW`."""
    tests = Path(__file__).parent
    for item in items:
        if item.path.relative_to(tests).as_posix().startswith(_SLOW):
            item.add_marker("slow")


@pytest.fixture(scope="session")
def depthwise_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run of three epochs. Read it only."""
    from running import DEPTHWISE, THREE_EPOCHS, trained

    return trained(tmp_path_factory.mktemp("depthwise"), *DEPTHWISE, *THREE_EPOCHS)


@pytest.fixture(scope="session")
def tvconv_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As `depthwise_run`."""
    from running import THREE_EPOCHS, TVCONV, trained

    return trained(tmp_path_factory.mktemp("tvconv"), *TVCONV, *THREE_EPOCHS)
