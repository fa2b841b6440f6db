"""Experiments for developers of attrib; they run from a checkout and are not in the wheel."""
