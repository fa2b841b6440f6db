"""Perturbation of a clip: cells removed in the order of a map, and the model asked again."""
