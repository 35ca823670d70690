"""Which faces look into the camera: a classifier trained on CFP, and what it keeps of a training set."""
