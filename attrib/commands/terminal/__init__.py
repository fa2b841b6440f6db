"""Console output of the commands: tables, progress and messages."""
