"""Inputs that methods vary: pixels or visual tokens, baselines, paths between them, removal."""
