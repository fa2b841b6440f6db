"""Summary tables of a run: results.parquet in, one CSV out, each in a file of its name."""
