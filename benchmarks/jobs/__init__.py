"""Work of a run: planned per sample, computed once, cached by key, and read again."""
