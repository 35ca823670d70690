"""A trained network as one file for another program: ONNX, TorchScript, or a package compiled ahead of time."""
