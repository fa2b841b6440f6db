"""Figures of a run at print size."""
