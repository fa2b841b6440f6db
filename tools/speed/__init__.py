"""Speed and memory of attrib beside plain implementations of the same work."""
