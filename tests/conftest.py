"""Set up for all tests."""

from pathlib import Path

import pytest
import torch

from facerec.data.decode import use_one_thread

# The shapes are tiny: on a busy machine threads wait for each other ten times as long as they compute.
torch.set_num_threads(1)
use_one_thread()


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
