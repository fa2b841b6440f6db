"""Readers of annotated data sets; each yields samples."""
