"""Comparisons of an adapter with the official processor and the plain network of a checkpoint."""
