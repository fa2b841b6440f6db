"""The greedy search against one that computes everything anew, one version of the clip at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from attrib import config
from attrib.errors import ConfigError
from attrib.methods.greedy_regions import GreedyRegions
from attrib.subject import Subject
from attrib.testing import RED, ToyModel, check_method, toy_subject


def objective(subject: Subject, region: list[int], baseline: str) -> float:
    """f(only S) - f(without S) over the 27 tokens of the made checkpoint."""
    chosen = torch.zeros(27, dtype=torch.bool)
    chosen[region] = True
    tokens, mean = subject.visual, subject.visual.mean(1, keepdim=True)
    if baseline == "dropped":
        kept, lost = (subject.model.score_tokens(tokens, subject.question, keep) for keep in (chosen, ~chosen))
        return float(subject.log_odds(kept)[0] - subject.log_odds(lost)[0])
    kept, lost = (subject.score_tokens(torch.where(keep[None, :, None], tokens, mean)) for keep in (chosen, ~chosen))
    return float(kept[0] - lost[0])


def naive(subject: Subject, regions: int, candidates: int, baseline: str) -> tuple[list[int], list[float], float, int]:
    """The order, the objective of each cell alone, that of the region, and the number of versions asked for."""
    alone = [objective(subject, [cell], baseline) for cell in range(27)]
    asked, order = 27, [int(np.argmax(alone))]
    pool = sorted(range(27), key=lambda cell: -alone[cell])[:candidates]
    while len(order) < regions:
        tried = {cell: objective(subject, [*order, cell], baseline) for cell in pool if cell not in order}
        asked += len(tried)
        order.append(max(tried, key=lambda cell: tried[cell]))
    return order, alone, objective(subject, order, baseline), 1 + 2 * asked


@pytest.mark.parametrize(
    ("regions", "candidates", "baseline"),
    [(5, 8, "mean_token"), *(pytest.param(4, 27, each, marks=pytest.mark.slow) for each in ("mean_token", "dropped"))],
)
def test_it_equals_a_search_that_computes_everything_anew(
    subject: Subject, regions: int, candidates: int, baseline: Any
) -> None:
    order, alone, reached, asked = naive(subject, regions, candidates, baseline)
    volume = GreedyRegions(regions, candidates, baseline=baseline).attribute(subject)
    values = volume.values.ravel()
    assert np.argsort(-values)[:regions].tolist() == order
    by_itself = np.argsort(alone)[::-1][:regions].tolist()
    assert (order != by_itself) == (baseline == "dropped"), "tokens that are left out depend on each other here"
    np.testing.assert_allclose(values[order], np.arange(regions + 1, 1, -1) / (regions + 1), rtol=1e-6)
    others = [cell for cell in range(27) if cell not in order]
    nothing = objective(subject, [], baseline)
    gains = np.array(alone) - nothing
    np.testing.assert_allclose(values[others], gains[others] / abs(gains).max() / (regions + 2), atol=1e-4)
    reports = volume.provenance.reports
    assert reports["objective"] == pytest.approx(reached, abs=1e-4)
    stated = 1 + 2 * (27 + sum(candidates - taken for taken in range(1, regions)))
    assert reports["forward_evaluations"] == asked == stated


def test_versions_that_are_asked_are_those_that_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    subject, sizes, kept = toy_subject(), [], ToyModel.score_tokens

    def counted(self: ToyModel, tokens: torch.Tensor, *rest: Any) -> torch.Tensor:
        sizes.append(len(tokens))
        return kept(self, tokens, *rest)

    monkeypatch.setattr(ToyModel, "score_tokens", counted)
    volume = GreedyRegions(regions=3, candidates=5).attribute(subject)
    assert sum(sizes) == volume.provenance.reports["forward_evaluations"] == 1 + 2 * (48 + 4 + 3)
    assert max(sizes) == 8


def test_a_clip_of_fewer_cells_is_taken_whole() -> None:
    subject = toy_subject()
    volume = GreedyRegions(regions=99, candidates=99, cells=1).attribute(subject)
    assert sorted(volume.values.ravel().tolist()) == pytest.approx([0.4, 0.6, 0.8, 1.0])
    assert int(volume.values.argmax()) == RED[0]


@pytest.mark.parametrize("parameters", [{"baseline": "dropped"}, {"space": "pixels", "baseline": "blur"}], ids=str)
def test_variants_keep_the_contract(parameters: dict[str, Any]) -> None:
    check_method(GreedyRegions(regions=2, candidates=4, **parameters))


def test_it_says_which_imputers_show_what_it_saw() -> None:
    assert GreedyRegions().seen_imputers == GreedyRegions(baseline="dropped").seen_imputers == {"token"}
    assert GreedyRegions().optimises == {"deletion", "insertion"}


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"regions": 0}, "regions: expected 1 or more"),
        ({"space": "pixels"}, "'mean_token' is a baseline of tokens"),
        ({"candidates": 0}, "candidates: expected 1 or more"),
    ],
)
def test_impossible_settings_are_refused(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        config.build("methods", "greedy_regions", parameters)
