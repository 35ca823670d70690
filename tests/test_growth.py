"""What a process holds does not grow with the number of epochs."""

import pytest
from open_descriptors import OPENED
from running import DEPTHWISE, trained


@pytest.mark.skipif(not OPENED.exists(), reason="nobody says here what is open")
def test_descriptors_with_loading_processes_and_pictures(tmp_path):
    settings = ["trainer.max_epochs=12", "data.num_workers=1", "data.cache=null", "data.global_batch_size=64"]
    counting = f"+callbacks.opened={{_target_: open_descriptors.OpenDescriptors, path: '{tmp_path / 'counts'}'}}"
    trained(tmp_path, *DEPTHWISE, *settings, counting)
    counts = [int(line) for line in (tmp_path / "counts").read_text().split()]
    # Of one batch more, at most, Matplotlib keeps images and labels: that of the last formula it has read.
    assert len(counts) == 12 and counts[11] <= counts[2] + 2, counts
