"""Activation patching and edge knock-outs: which states carry the answer, through which layers, along which edges."""
