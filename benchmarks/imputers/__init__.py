"""Imputers decide what removed cells of a clip show; one file each, registered by entry point."""
