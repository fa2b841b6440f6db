"""Experiments for developers of attrib; run from a checkout and left out of the wheel."""
