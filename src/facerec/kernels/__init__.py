"""What makes an operator fast, behind one function each."""
