"""Work of a run: planned per sample, computed once, kept by key, and read again."""
