"""The reference benchmark's tables and its page docs/results.md, from finished runs: `python -m tools.reference`."""
