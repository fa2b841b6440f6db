"""Metrics of alignment with object tracks."""
