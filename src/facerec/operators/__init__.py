"""Spatial operators, one file a paper.

An operator is called ``operator(channels, stride=1, out_size=(H, W))`` and gives a module that maps ``(B, C, H_in,
W_in)`` to ``(B, C, H, W)`` with ``H = ceil(H_in / stride)``. It initialises itself; normalisation and activation stay
in the block around it.
"""
