"""Checks of a training set and its benchmarks before a long run."""
