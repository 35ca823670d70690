"""Random changes of images on the device, a whole batch at a time, with random numbers of each image's own.

A transform is called with images ``(B, 3, H, W)`` in [-1, 1] and as many numbers in [0, 1) an image as its
``num_random`` says, and returns changed images. It draws nothing itself, so what it does follows from its arguments.
"""
