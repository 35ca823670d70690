"""Set up for all tests."""

import signal
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from facerec.data.decode import use_one_thread

# The shapes are tiny: on a busy machine threads wait for each other ten times as long as they compute.
torch.set_num_threads(1)
use_one_thread()
# In the background of a shell it is ignored, also by the programs that the tests start and interrupt.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


# Trainings, exports, whole programs and real data: what `make test-fast` leaves to `make test`.
_SLOW = (
    *("attack/", "scripts/", "exporting/", "benchmarks/", "callbacks/", "operators/test_learning", "frontal/"),
    *("data/test_datamodule_in", "data/test_synthetic", "data/test_sampling", "doctor/", "alignment/test_align"),
    "test_resume_inside",
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
    *("data/fundus/test_drawn", "data/fundus/test_segmentation", "data/shards/"),
    *("operators/test_operators", "operators/test_cost", "data/test_modules", "data/test_packed", "kernels/"),
)


# Further cases of what others test too, half a minute each: what `make test` leaves to `make test-long`.
_LONG = (
    *("test_it_is_built_for_other_machines", "test_a_job_of_slurm_is", "test_an_older_runtime_is_told"),
    *("test_a_run_goes_on_with_another_number_of_devices", "test_a_run_that_draws_identities_goes_on"),
    *(f"test_after_a_crash[{case}" for case in ("accumulation", "verification", "tvconv")),
    *("test_after_many_crashes", "test_after_it_was_told_to_end[acc", "test_after_it_was_told_to_end[ver"),
    *("between_two_epochs_ends[depthwise-10", "between_two_epochs_ends[tvconv", "test_after_a_full_disk[last"),
    *(f"test_a_resumed_run_equals_one_that_was_never_interrupted[{case}" for case in ("temp", "running", "pointwise")),
    *("with_the_averages_of_its_head[curricularface", "as_if_it_had_never_stopped[0", "images[onnx-PlainToy"),
    *("test_a_quick_run_has_every_section", "why_it_failed_is_said_once_whichever_device_it_was[null"),
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as slow what is named in `_SLOW`, and as long what is named in `_LONG`."""
    tests = Path(__file__).parent
    for item in items:
        is_long = any(name in item.nodeid for name in _LONG)
        if is_long or item.path.relative_to(tests).as_posix().startswith(_SLOW):
            item.add_marker("slow")
        if is_long:
            item.add_marker("long")


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


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """The address of an S3 server in this process, on the loopback interface."""
    moto_server = pytest.importorskip("moto.server")
    server = moto_server.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


@pytest.fixture
def bucket(s3_server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """A new bucket of that server, as ``s3://NAME``, with the settings for it in the environment."""
    from boto3.session import Session

    settings = {"ENDPOINT_URL": s3_server, "ACCESS_KEY_ID": "reader", "SECRET_ACCESS_KEY": "secret"}
    settings |= {"DEFAULT_REGION": "us-east-1", "EC2_METADATA_DISABLED": "true", "CONFIG_FILE": str(tmp_path / "none")}
    settings |= {"SHARED_CREDENTIALS_FILE": str(tmp_path / "none")}
    for name, value in settings.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    name = f"faces-{uuid.uuid4().hex}"
    Session().client("s3").create_bucket(Bucket=name)
    return f"s3://{name}"
