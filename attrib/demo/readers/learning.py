"""Training of a reader on some scenes and its accuracy on others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest
from sklearn.ensemble import HistGradientBoostingClassifier
from threadpoolctl import threadpool_limits

from attrib.demo.readers.views import Features

TRAIN, VALIDATION = 0.45, 0.1  # shares of the scenes; the view is chosen on the latter and the rest is for the test


@dataclass(frozen=True)
class ReaderScore:
    """Accuracy on `scenes` test scenes, its 95 % interval (Wilson), and the view that was chosen."""

    scenes: int
    accuracy: float
    low: float
    high: float
    view: int


def score(features: Features, right: NDArray[np.int64]) -> ReaderScore:
    """Train on features (scenes, views, rows, width) and test with the view that is best on the validation scenes.

    With several rows, `right` (scenes,) is the row of the right option; with one, it is the class of the scene.
    """
    train, rest = np.split(np.arange(len(right)), [round(len(right) * TRAIN)])
    validation = round(len(right) * VALIDATION)
    answer = _classes if features.shape[2] == 1 else _options
    correct = np.array(
        [answer(features[:, view], right, train, rest) == right[rest] for view in range(features.shape[1])]
    )
    best = int(correct[:, :validation].mean(1).argmax())
    tested = correct[best, validation:]
    interval = binomtest(int(tested.sum()), len(tested)).proportion_ci(0.95, "wilson")
    return ReaderScore(len(tested), float(tested.mean()), float(interval.low), float(interval.high), best)


def _options(
    features: Features, right: NDArray[np.int64], train: NDArray[np.int64], rest: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Predict for each scene the option that is most likely right; ties are broken at random."""
    with_others = _with_others(features)
    wanted = np.arange(features.shape[1]) == right[:, None]
    model = _fitted(with_others[train].reshape(-1, with_others.shape[-1]), wanted[train].reshape(-1).astype(np.int64))
    likely = model.predict_proba(with_others[rest].reshape(-1, with_others.shape[-1]))[:, 1].reshape(len(rest), -1)
    likely += np.random.default_rng(0).uniform(0, 1e-9, likely.shape)
    return np.asarray(likely.argmax(1), np.int64)


def _with_others(features: Features) -> Features:
    """Features of each option with the largest and the smallest of the other options."""
    rows = features.shape[1]
    others = [features[:, [j for j in range(rows) if j != i]] for i in range(rows)]
    most = np.stack([np.fmax.reduce(o, axis=1) for o in others], axis=1)
    least = np.stack([np.fmin.reduce(o, axis=1) for o in others], axis=1)
    return _known(np.concatenate([features, most, least], axis=-1))


def _known(features: Features) -> Features:
    """Features with a number that occurs nowhere else for those that are not known."""
    return np.nan_to_num(features, nan=-1000)


def _classes(
    features: Features, right: NDArray[np.int64], train: NDArray[np.int64], rest: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Predict the class of each scene."""
    known = _known(features[:, 0])
    return np.asarray(_fitted(known[train], right[train]).predict(known[rest]), np.int64)


def _fitted(features: Features, wanted: NDArray[np.int64]) -> HistGradientBoostingClassifier:
    """Classifier of small trees, which find weak signals among many features."""
    model = HistGradientBoostingClassifier(
        learning_rate=0.07, max_iter=60, max_leaf_nodes=6, early_stopping=False, random_state=0
    )
    with threadpool_limits(1):
        return model.fit(features, wanted)
