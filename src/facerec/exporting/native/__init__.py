"""The operator library: the networks' blocks in C, for inference in another runtime."""
