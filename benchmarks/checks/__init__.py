"""Optional checks of a run: randomised models, floors and re-paired annotation."""
