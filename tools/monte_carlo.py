"""Agreement of two seeds' maps by the number of samples: `python -m tools.monte_carlo [METHOD ...]`.

Rank correlation (Spearman) on the videos of the built-in benchmark: over the cells of the token grid, as metrics score
maps, and over all values; beside them the agreement that the method reports from two halves of its own samples.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import numpy as np
import torch
from scipy.stats import spearmanr

from attrib import registry, video
from attrib.demo.built_in import demo
from attrib.subject import Subject

SAMPLES = (16, 32, 64)


def pair(subjects: tuple[Subject, Subject], method: str, samples: int) -> tuple[float, float, float]:
    """Return the agreement of two seeds on the token grid and over all values, and the one that the maps report."""
    made = [registry.get("methods", method)(samples=samples, batch=4).attribute(subject) for subject in subjects]
    grid = subjects[0].grid
    coarse = [volume.on_grid(grid.rows, grid.columns) for volume in made]
    tokens, values = (float(spearmanr(*(one.values.ravel() for one in both)).statistic) for both in (coarse, made))
    return tokens, values, float(np.mean([volume.provenance.reports["monte_carlo_agreement"] for volume in made]))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("methods", nargs="*", default=["smoothgrad", "gradient_shap"])
    parser.add_argument("--samples", type=int, nargs="+", default=list(SAMPLES))
    parser.add_argument("--videos", type=int, default=18)
    given = parser.parse_args()
    model = demo()
    subjects = []
    for sample in registry.get("datasets", "demo")(videos=given.videos, counterfactuals=False):
        clip = video.read(sample.video, frames=model.frames)
        subject = Subject.bind(model, clip, sample.question)
        subjects.append((subject, replace(subject, seed=1)))
    for method in given.methods:
        for samples in given.samples:
            found = np.array([pair(both, method, samples) for both in subjects])
            tokens, values, reported = np.median(found, axis=0)
            agreement = f"two seeds agree by {tokens:.2f} on the token grid ({values:.2f} over all values)"
            print(f"{method}, {samples} samples: {agreement}, reported {reported:.2f}", flush=True)


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    main()
