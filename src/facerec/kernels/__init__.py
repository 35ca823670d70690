"""Fast kernels for the operators, each behind one function."""
