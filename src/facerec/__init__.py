"""facerec: train, verify, measure and deploy small face-recognition networks."""
