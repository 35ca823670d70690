"""Operators of the project's own for ONNX Runtime: a library in C, and networks that are written for it."""
