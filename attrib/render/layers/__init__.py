"""Pages and videos that show attention layer by layer."""
