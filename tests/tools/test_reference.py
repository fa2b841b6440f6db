"""The reference benchmark's page and tables, from finished runs whose scores are drawn."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from attrib import config
from attrib.benchmarks.jobs.finished_run import FinishedRun
from attrib.benchmarks.stats.permutation import videos_needed
from attrib.benchmarks.stats.resampling import Resampling
from attrib.benchmarks.tables.matrix import Column
from attrib.types import Provenance, SaliencyVolume
from tools.reference.__main__ import main
from tools.reference.costs import passes, seconds
from tools.reference.models import correlation, split
from tools.reference.page import page
from tools.reference.power import sight, smallest_difference
from tools.reference.rows import every_row
from tools.reference.scores import ReferenceRun, read_all
from tools.reference.verdicts import disagreements, gains, imputers, opposed, winners

from export_cases import rows, written

ROOT = Path(__file__).parent.parent.parent
METHODS = {"relevance": 0.3, "raw_attention": 0.2, "grad_cam": -0.1, "saliency": 0.1, "legrad": 0.0}
CONTROLS = {"random": -0.05, "motion": 0.05, "oracle": 0.45}
SHUFFLED, OBJECT = Column("shuffled_auc", None, "high"), Column("object_auc", None, "high")
RESAMPLES = 999
Skill = Mapping[str, float]


def reference(
    folder: Path, model: str = "demo", skill: Skill = METHODS, videos: int = 24, seed: int = 0,
    moved: Mapping[tuple[str, str], float] | None = None,
) -> ReferenceRun:  # fmt: skip
    """A finished run of a model; `moved` is added to the scores of a method and metric."""
    results = rows({"one": videos // 2, "two": videos - videos // 2}, {**skill, **CONTROLS}, seed)
    for (method, metric), by in (moved or {}).items():
        results.loc[(results["method"] == method) & (results["metric"] == metric), "value"] += by
    return ReferenceRun(written(folder / model, results, model={"name": model}, resamples=RESAMPLES))


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> ReferenceRun:
    return reference(tmp_path_factory.mktemp("demo"))


@pytest.fixture(scope="module")
def turned(tmp_path_factory: pytest.TempPathFactory) -> ReferenceRun:
    """Another model, on whose maps the ranks of the methods are reversed."""
    return reference(
        tmp_path_factory.mktemp("turned"), "demo-qwen", {name: -gain for name, gain in METHODS.items()}, seed=1
    )


def means(run: FinishedRun, metric: str, methods: list[str]) -> pd.DataFrame:
    """(videos, methods) scores."""
    rows = run.results.query("metric == @metric")
    return rows.pivot(index="video", columns="method", values="value")[methods]


def test_rank_correlation_is_scipys(tmp_path: Path, demo: ReferenceRun) -> None:
    """Statistic and interval: means of the same drawn videos of both models, here by NumPy and SciPy."""
    other = reference(tmp_path, "demo-qwen", {**METHODS, "relevance": 0.15, "grad_cam": 0.12}, seed=2)
    found = correlation(demo, other, SHUFFLED)
    one, two = (means(run.run, "shuffled_auc", list(METHODS)).to_numpy() for run in (demo, other))
    assert found.methods == 5
    assert found.statistic == pytest.approx(stats.spearmanr(one.mean(axis=0), two.mean(axis=0)).statistic)
    counts = np.concatenate(list(Resampling(RESAMPLES, 0).counts(24)))
    draws = [stats.spearmanr(draw @ one, draw @ two).statistic for draw in counts.astype(np.float64)]
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(draws, [0.025, 0.975])))
    assert found.low < found.high and 0 < found.statistic < 1


def test_the_same_and_reversed_ranks_correlate_by_one(demo: ReferenceRun, turned: ReferenceRun, tmp_path: Path) -> None:
    assert correlation(demo, demo, OBJECT)[:3] == pytest.approx((1, 1, 1))
    wide = {"relevance": 2.0, "raw_attention": 1.0, "grad_cam": 0.0}
    one = reference(tmp_path, "one", wide)
    two = reference(tmp_path, "two", {name: -gain for name, gain in wide.items()}, seed=1)
    assert correlation(one, two, OBJECT) == pytest.approx((-1, -1, -1, 3))


def test_the_interval_narrows_with_the_number_of_videos(tmp_path: Path) -> None:
    def width(videos: int) -> float:
        close = {name: gain / 4 for name, gain in METHODS.items()}
        one = reference(tmp_path / str(videos), "one", close, videos, seed=3)
        two = reference(tmp_path / str(videos), "two", close, videos, seed=4)
        found = correlation(one, two, OBJECT)
        assert found.low <= found.statistic <= found.high
        return found.high - found.low

    assert width(8) > width(40) > width(300)


def test_fewer_than_three_methods_have_no_correlation(tmp_path: Path) -> None:
    runs = [reference(tmp_path, name, {"relevance": 0.3, "legrad": 0.0}, 6) for name in ("one", "two")]
    assert np.isnan(correlation(*runs, OBJECT)[:3]).all()


def test_the_smallest_difference_by_hand() -> None:
    """z(.975) = 1.95996, z(.8) = .84162: 2.80159 standard errors."""
    assert smallest_difference(1.0, 100) == pytest.approx(0.280159, abs=1e-6)
    assert smallest_difference(0.15, 400) == pytest.approx(2.80159 * 0.15 / 20, rel=1e-5)
    assert smallest_difference(1.0, 100, alpha=0.05 / 75) == pytest.approx((3.40294 + 0.84162) / 10, rel=1e-4)
    assert videos_needed(np.array([smallest_difference(0.3, 57) * (1 + 1e-9)]), np.array([0.3])).tolist() == [57]
    assert np.isnan(smallest_difference(1.0, 0))


def test_the_smallest_difference_is_seen_with_power_08() -> None:
    generator = np.random.default_rng(0)
    drawn = generator.normal(smallest_difference(0.5, 120), 0.5, (120, 4000))
    assert (stats.ttest_1samp(drawn, 0).pvalue < 0.05).mean() == pytest.approx(0.8, abs=0.02)


def test_what_the_videos_can_tell_is_of_the_observed_spread(demo: ReferenceRun) -> None:
    """By pandas: the difference of each method to `motion`, the best control."""
    away = means(demo.run, "object_auc", list(METHODS)).sub(means(demo.run, "object_auc", ["motion"])["motion"], axis=0)
    found = sight(demo, OBJECT)
    assert (found.videos, found.methods) == (24, 5)
    assert found.deviation == pytest.approx(away.std().median())
    assert found.alone == pytest.approx(2.80159 * away.std().median() / 24**0.5, rel=1e-5)
    assert len(demo.tested) == 15
    assert found.first == pytest.approx(smallest_difference(away.std().median(), 24, 0.05 / 15))


def test_what_beats_every_control_and_by_how_much(demo: ReferenceRun) -> None:
    board = demo.run.table("leaderboard")
    assert board is not None
    row = board.query("subset == 'all' and metric == 'object_auc' and method == 'relevance'").iloc[0]
    by = f"{row['difference']:.2f} [{row['difference_low']:.2f}, {row['difference_high']:.2f}]"
    statements = list(winners(demo))
    assert statements[2].startswith("`object_auc`: 2 of 5 methods beat every control: `relevance`, `raw_attention`.")
    assert statements[2].endswith(f"The best of them is `relevance`, by {by} over `motion`.")
    assert "`grad_cam`" in statements[-1] and "`relevance`" not in statements[-1]
    lines = gains(demo)
    assert lines[0] == "| method | `srg` (blur) | `shuffled_auc` | `object_auc` |"
    assert next(line for line in lines if "`relevance`" in line).endswith(f"| **{by}** |")
    assert "**" not in next(line for line in lines if "`grad_cam`" in line)


def test_statements_turn_with_the_scores(demo: ReferenceRun, turned: ReferenceRun) -> None:
    statements = list(winners(turned))
    assert statements[2].startswith("`object_auc`: 0 of 5 methods beat every control. The nearest to it is `grad_cam`")
    assert list(split(demo, turned, OBJECT)) == [
        [], ["relevance", "raw_attention"], [], ["saliency", "legrad", "grad_cam"]]  # fmt: skip
    assert next(iter(split(demo, demo, OBJECT))) == ["relevance", "raw_attention"]
    said = list(opposed(demo, turned, OBJECT))
    assert [text.split("`")[3] for text in said] == ["relevance", "raw_attention", "grad_cam"]
    assert said[0].startswith("`object_auc` of `relevance` turns over: 0.24 [") and said[2].endswith("`demo-qwen`.")
    assert list(opposed(demo, demo, OBJECT)) == []


def test_a_leader_that_fails_on_another_metric_is_a_disagreement(tmp_path: Path, demo: ReferenceRun) -> None:
    assert list(disagreements(demo)) == []
    apart = reference(tmp_path, moved={("relevance", "object_auc"): -0.4})
    first, second = disagreements(apart)
    assert first.startswith(
        "`relevance` leads on `srg` (blur), `shuffled_auc` and beats every control there, but not on `object_auc` (-0."
    )
    assert first.endswith("] to `motion`).")
    assert second.startswith("`raw_attention` leads on `object_auc` and beats every control there, but not on ")


def test_imputers_are_compared(tmp_path: Path) -> None:
    results = rows({"one": 6}, {**METHODS, **CONTROLS})
    other = results.query("metric == 'srg'").assign(imputer="mean")
    other["value"] = 1 - other["value"]
    both = pd.concat([results, other.astype({"imputer": "string"})], ignore_index=True)
    one = ReferenceRun(written(tmp_path, both, imputers=["blur", "mean"]))
    assert list(imputers(one)) == [
        "Rank correlation (Spearman) of all rows, controls included, under blur and mean: -1.00 on `srg`, where it "
        "is lowest."
    ]
    assert [column.imputer for column in one.columns] == ["blur", None, None, "mean"]


def test_every_row_has_means_with_intervals_and_verdicts(demo: ReferenceRun, tmp_path: Path) -> None:
    one = reference(tmp_path)
    assert "sanity" not in every_row(one)[0]
    parts = ("vision", "language", "both")
    given = {"relevance": ("pass", "fail", "fail"), "motion": ("fail", "fail", "fail"), "legrad": ("undefined",) * 3,
             "saliency": ("pass", "undefined", "pass")}  # fmt: skip
    verdicts = [(method, part, each) for method, of in given.items() for part, each in zip(parts, of, strict=True)]
    pd.DataFrame(verdicts, columns=["method", "part", "verdict"]).assign(videos=3).to_csv(
        one.run.directory / "sanity.csv", index=False
    )
    lines = every_row(one)
    assert lines[:2] == [
        "| method | `srg` (blur) | `shuffled_auc` | `object_auc` | sanity |", "| --- | ---: | ---: | ---: | ---: |"
    ]  # fmt: skip
    last = {line.split("`")[1]: line.split(" | ")[-1].removesuffix(" |") for line in lines[2:-2]}
    assert last["relevance"] == "fails on the language model and both at once" and last["motion"] == "fail"
    assert last["legrad"] == last["oracle"] == "undefined" and last["saliency"] == "pass"
    row = one.board.query("method == 'legrad' and metric == 'srg'").iloc[0]
    assert f"| `legrad` | {row['mean']:.2f} [{row['low']:.2f}, {row['high']:.2f}] |" in "\n".join(lines)
    assert lines[-2] == "| chance | 0.50 | 0.50 | 0.50 |  |"


def test_costs_are_medians_of_seconds_and_of_reported_passes(tmp_path: Path) -> None:
    results = rows({"one": 3}, {**METHODS, **CONTROLS})
    taken = dict(zip(sorted(set(results["sample"])), (1.0, 2.0, 9.0), strict=True))
    one = ReferenceRun(written(tmp_path, results.assign(seconds=results["sample"].map(taken))))
    for sample, count in zip(taken, (4.0, 6.0, 40.0), strict=True):
        reports = {"forward_evaluations": count, "completeness_error": 0.1}
        volume = SaliencyVolume(np.zeros((1, 2, 2), np.float32), np.zeros(1), Provenance("relevance", reports=reports))
        volume.save(tmp_path / "volumes" / sample / "relevance.npz")
    assert seconds(one)["legrad"] == 2.0
    assert passes(one, "relevance") == {"forwards": 6.0} and passes(one, "legrad") == {}
    text = page([one])
    assert "| `relevance` | 6 |  | 2 |" in text and "| `legrad` |  |  | 2 |" in text


def test_tables_and_page_are_written(
    demo: ReferenceRun, turned: ReferenceRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    directories = [str(one.run.directory) for one in (demo, turned)]
    assert main([*directories, "--out", str(tmp_path)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == str(tmp_path / "docs" / "results.md")
    folder = tmp_path / "results" / "reference"
    assert {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} == {
        f"{model}/{name}.csv" for model in ("demo", "demo-qwen") for name in ("leaderboard", "differences", "ranks")
    }
    board, whole = pd.read_csv(folder / "demo" / "leaderboard.csv"), demo.run.table("leaderboard")
    assert whole is not None and set(whole["subset"]) - set(board["subset"]) == {"task: one", "task: two"}
    assert board["mean"].to_numpy() == pytest.approx(whole.loc[board.index, "mean"].to_numpy(), rel=1e-5, nan_ok=True)
    assert set(pd.read_csv(folder / "demo" / "differences.csv")["subset"]) == {"all"}
    text = (tmp_path / "docs" / "results.md").read_text()
    assert text == page([demo, turned])
    assert "Rank correlation of the methods' means, without controls, between `demo` and `demo-qwen`" in text
    assert "`object_auc` of `relevance` turns over" in text and "The only run" not in text
    assert [line for line in text.splitlines() if len(line) > 132 and not line.startswith("|")] == []
    assert "nan" not in text.lower().replace("resampl", "") and "\n\n\n" not in text


def test_a_single_run_leaves_the_comparison_out(demo: ReferenceRun) -> None:
    text = page([demo])
    assert "The only run is of `demo`: which conclusions hold for another model cannot be said." in text
    assert "Rank correlation of the methods' means" not in text


@pytest.mark.parametrize("videos", [10, 13])
def test_numbers_of_videos_and_gated_ones_are_the_runs(tmp_path: Path, videos: int) -> None:
    results = rows({"one": videos}, {**METHODS, **CONTROLS})
    gated = results["video"] < "v0004"
    wrong = results["video"] == "v0000"
    failed = pd.Series("", results.index).mask(results.index == 7, "no memory")
    one = ReferenceRun(written(tmp_path, results.assign(gated=gated, correct=~wrong, error=failed)))
    assert f"| `demo` | {videos} | {videos} | {videos - 1} of {videos} | 4 of {videos} | 1 |" in page([one])


def test_wrong_input_is_refused_in_one_line(
    demo: ReferenceRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(*runs: Path) -> str:
        assert main([*map(str, runs), "--out", str(tmp_path / "out")]) == 2
        shown = capsys.readouterr()
        assert shown.out == "" and shown.err.count("\n") == 1 and not (tmp_path / "out").exists()
        return shown.err

    whole = demo.run.directory
    assert refused() == "error: expected one run directory or more, got none\n"
    assert "expected a finished run" in refused(tmp_path / "nothing")
    again = tmp_path / "again"
    shutil.copytree(whole, again)
    assert f"expected one run of each model, got two of demo: {whole} and {again}" in refused(whole, again)
    (again / "differences.csv").unlink()
    assert "lacks differences.csv; resume the run" in refused(again)
    pd.read_csv(whole / "differences.csv").drop(columns="sd").to_csv(again / "differences.csv", index=False)
    assert "differences.csv lacks the columns sd" in refused(again)
    some = demo.run.results.query("method != 'legrad'")
    some.to_parquet(again / "results.parquet", index=False)
    assert "unfinished, without results of legrad" in refused(again)
    (again / "results.parquet").unlink()
    assert "found no results.parquet" in refused(again)
    other = reference(tmp_path, "other", videos=6)
    assert "runs that cannot be compared: 18 samples are in" in refused(whole, other.run.directory)


def test_a_run_of_another_command_gives_its_page_alone(demo: ReferenceRun, tmp_path: Path) -> None:
    assert main([str(demo.run.directory), "--out", str(tmp_path), "--command", "attrib bench"]) == 0
    text = (tmp_path / "docs" / "results.md").read_text()
    assert text.splitlines()[2].startswith("`attrib bench` ran ") and "make reference" not in text
    assert not (tmp_path / "results").exists()


def test_runs_are_read_in_the_given_order(demo: ReferenceRun, turned: ReferenceRun) -> None:
    assert [one.model for one in read_all([turned.run.directory, demo.run.directory])] == ["demo-qwen", "demo"]


def test_the_configuration_serves_every_model() -> None:
    """Assert the rest: that it names every method, control and metric is tested in tests/test_config.py."""
    given = config.read(ROOT / "configs" / "reference.yaml")
    parsed = config.parse(config.override(given, ["model.name=demo-qwen"]))
    assert parsed.model.name == "demo-qwen" and parsed.data == {"name": "demo", "videos": 120, "seed": 0}
    assert len(parsed.imputers) > 1 and parsed.sanity.videos and parsed.floors.videos and parsed.null_pairs


@pytest.mark.skipif(shutil.which("make") is None, reason="no make here")
def test_make_runs_each_model_and_then_the_tool() -> None:
    printed = subprocess.run(
        ["make", "-n", "reference", "REFERENCE_MODELS=demo other"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert "for model in demo other; do" in printed
    assert "attrib bench reference -O runs/reference-$model --set model.name=$model" in printed
    assert "-m tools.reference runs/reference-demo runs/reference-other\n" in printed
