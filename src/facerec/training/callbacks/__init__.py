"""What watches a run: progress, metrics, pictures, and a stop when the loss is lost."""
