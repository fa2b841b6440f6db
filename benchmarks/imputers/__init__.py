"""Imputers: what removed cells of a clip show. One file each; registered by entry point."""
