from __future__ import annotations

import json
import sys

import numpy as np
import pytest

from attrib import registry
from attrib.benchmarks.perturb import evaluator
from attrib.benchmarks.perturb.curves import saliency_order
from attrib.testing import toy_sample, toy_subject, toy_volume
from tools.speed import evaluation
from tools.speed.evaluation import (
    EvaluatorCost,
    Rate,
    compare_all,
    curve_steps,
    forwards,
    plain,
    steps_of,
    table,
)

CURVES = ("srg", "deletion", "insertion", "comprehensiveness", "sufficiency")


@pytest.mark.parametrize("metric", [*CURVES, "flip_rate", "infidelity"])
def test_the_plain_loop_asks_what_the_metrics_ask(metric: str) -> None:
    """A metric makes the evaluator evaluate what the loop evaluates for it, and the other steps of the same curve."""
    subject, values = toy_subject(), np.random.default_rng(0).normal(size=(4, 3, 4))
    order = saliency_order(toy_volume(values), subject)
    chance = np.random.default_rng([subject.seed, 1]).permutation(len(order))
    asked = steps_of(order, chance, subject)
    registry.get("metrics", metric)().score(toy_volume(values), subject, toy_sample())
    known = {cells for _, cells in evaluator._of_subject[subject].answers}
    own = {np.packbits(cells).tobytes() for cells in asked[metric]}
    assert own <= known
    every = {np.packbits(cells).tobytes() for name in CURVES for cells in asked[name]}
    everything = np.packbits(np.ones(len(order), bool)).tobytes()
    assert known <= own | every | {everything}


def test_its_counts_are_those_of_the_metrics() -> None:
    """Eight steps, for 0, 1 and 2 of 48 cells are all that 0, 1, 2 and 5 % are; no metric shares with another."""
    subject = toy_subject()
    asked = steps_of(np.arange(48), np.arange(48)[::-1], subject)
    assert {name: len(cells) for name, cells in asked.items()} == {
        "deletion": 18, "insertion": 18, "comprehensiveness": 12, "sufficiency": 12, "srg": 18, "flip_rate": 2,
        "infidelity": 64,
    }  # fmt: skip


def test_both_give_the_same() -> None:
    found = compare_all(toy_subject(), ("centre", "random"), ("blur", "token"))
    assert [(row.imputer, row.asked) for row in found] == [
        ("blur", "curves"), ("blur", "metrics"), ("token", "curves"), ("token", "metrics"),
    ]  # fmt: skip
    assert all(row.difference < 1e-5 and row.plain > 0 and row.evaluator > 0 for row in found)
    assert all(row.distinct < row.versions for row in found)
    assert found[0].versions == 2 * 27


def test_a_wrong_evaluator_would_show(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "tools.speed.evaluation.answers",
        lambda subject, imputer, removed: plain(subject, imputer, removed).roll(1, dims=0),
    )
    assert compare_all(toy_subject(), ("centre",), ("blur",))[0].difference > 0.01


def test_two_processes_evaluate_every_version_once() -> None:
    subjects = [toy_subject(), toy_subject()]
    rate = forwards(subjects, 2)
    # Of each order 23 versions at most, less those that coincide in 48 cells, and the removed video once.
    steps = curve_steps(np.arange(48), subjects[0])
    each = len({cells.tobytes() for cells in steps}) - 2  # neither the clip itself nor the removed video
    assert (len(steps), each) == (27, 20)
    assert rate.forwards == 2 * (2 * each + 1)
    assert rate.seconds > 0 and rate.processor > 0


def test_extrapolation() -> None:
    rate = Rate(1000, 40.0, 30.0)
    assert rate.here == pytest.approx(400) and rate.undisturbed == pytest.approx(150)


def test_the_ratio_is_the_evaluators_share() -> None:
    shown = table([EvaluatorCost("blur", "curves", 30, 23, 8.0, 2.0, 1e-6)])
    assert list(shown.columns[6].cells) == ["0.25"]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["--imputers", "blurr"], "invalid choice: 'blurr'"),
        (["--orders", "0"], "--orders: expected 1 or more, got 0"),
        (["--methods", "uniform"], "rank the cells of a single video: the saliency is the same everywhere"),
    ],
)
def test_bad_input_is_one_line(
    given: list[str], told: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluation, "bound", lambda *_: [toy_subject(), toy_subject()])
    monkeypatch.setattr(sys, "argv", ["x", *given])
    with pytest.raises(SystemExit) as stopped:
        evaluation.main()
    assert stopped.value.code == 2
    assert told in capsys.readouterr().err.splitlines()[-1]


def test_json(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "bound", lambda *_: [toy_subject(), toy_subject()])
    monkeypatch.setattr(sys, "argv", ["x", "--json", "--methods", "centre", "--imputers", "mean", "--orders", "1"])
    evaluation.main()
    found = json.loads(capsys.readouterr().out)
    assert [row["asked"] for row in found["comparisons"]] == ["curves", "metrics"]
    assert found["extrapolated"]["seconds"] == pytest.approx(
        10_000 * found["two_processes"]["seconds"] / found["two_processes"]["forwards"]
    )
