"""Files made from a finished run for others: figures, notebook, technical report."""
