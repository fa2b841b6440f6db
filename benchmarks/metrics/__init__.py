"""Metrics, registered by entry point."""
