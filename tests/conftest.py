"""Set up for all tests."""

import torch

# The shapes are tiny: on a busy machine threads wait for each other ten times as long as they compute.
torch.set_num_threads(1)
