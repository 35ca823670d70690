"""Augmentation on the device: random transforms of whole batches, with separate random numbers per image.

A transform is called with images ``(B, 3, H, W)`` in [-1, 1] and random numbers ``(B, num_random)`` in [0, 1), and
returns changed images. It draws no random numbers itself, so its result is determined by its arguments.

Masks follow their images: an `affine.Affine` moves both, and a transform with ``keeps_positions`` leaves the mask as
it is.
"""
