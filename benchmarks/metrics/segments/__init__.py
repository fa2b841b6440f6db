"""Metrics of alignment with action and sound segments."""
