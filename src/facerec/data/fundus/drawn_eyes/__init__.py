"""Drawn photographs of the optic nerve head, with exact masks of its disc and cup.

An `Eye` is the anatomy, a `Look` what one clinic's eyes and camera have in common. Positions and lengths are shares of
the side of the image, which is square; x grows to the right and y downwards.
"""
