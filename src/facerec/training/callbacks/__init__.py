"""Lightning callbacks: progress, metrics, figures, and a stop when the loss is not finite."""
