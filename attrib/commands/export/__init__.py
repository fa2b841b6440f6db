"""Commands that export a finished run: figures, notebook, technical report."""
