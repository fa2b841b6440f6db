"""Engines of a run: where its pieces are computed, by this process, forked ones, one for each GPU, or Ray's actors."""
