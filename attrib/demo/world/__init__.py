"""Scenes of the built-in world: sampled from a seed, drawn, annotated and asked about."""
