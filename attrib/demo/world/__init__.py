"""Scenes of the built-in world: laid from a seed, drawn, annotated and asked about."""
