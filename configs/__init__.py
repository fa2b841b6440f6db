"""YAML configurations that ship with attrib."""
