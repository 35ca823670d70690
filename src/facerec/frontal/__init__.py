"""Selection of frontal faces: a classifier trained on CFP, and the images of a training set that it keeps."""
