"""Pages and videos of attention layer by layer."""
