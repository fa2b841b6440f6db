"""Statistics on plain arrays: bootstrap, permutation tests, corrections for many tests, ranks."""
