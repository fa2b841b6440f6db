"""Jupyter notebook of a run."""
