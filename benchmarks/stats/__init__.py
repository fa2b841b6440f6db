"""Statistics on plain arrays: bootstrap, permutation tests, corrections, ranks."""
