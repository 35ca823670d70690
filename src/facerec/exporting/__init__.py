"""Writes a trained network to one file for other programs: ONNX, TorchScript or an ahead-of-time compiled package."""
