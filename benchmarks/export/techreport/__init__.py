"""Two-page technical report (PDF) of a run."""
