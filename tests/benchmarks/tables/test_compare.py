from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from scipy import stats

from attrib import cli, config
from attrib.benchmarks.stats.bootstrap import clustered_interval
from attrib.benchmarks.stats.resampling import Resampling
from attrib.benchmarks.tables.compare import compare, read
from attrib.errors import InputError

from board_cases import skilled

SETTINGS: dict[str, Any] = {
    "data": {"name": "demo", "videos": 8, "root": "/here"}, "methods": {"good": None, "random": None},
    "metrics": {"object_auc": None, "deletion": {"of": "log_odds"}}, "imputers": ["blur", "mean"], "resamples": 200,
}  # fmt: skip
Make = Callable[..., Path]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Write a finished run of settings and data of some seed."""

    def made(name: str, seed: int = 0, table: pd.DataFrame | None = None, **changed: Any) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        settings = config.parse({**SETTINGS, **changed})
        (folder / "config.yaml").write_text(yaml.safe_dump(settings.model_dump()))
        (folder / "environment.json").write_text(json.dumps({"platform": "Linux"}))
        rows = skilled(8, seed) if table is None else table
        rows[rows["method"].isin(settings.methods) & rows["metric"].isin(settings.metrics)].to_parquet(
            folder / "results.parquet"
        )
        directions = {"metric": ["object_auc", "deletion"], "direction": ["high", "low"]}
        pd.DataFrame(directions).to_csv(folder / "leaderboard.csv")
        return folder

    return made


def test_runs_are_paired_on_their_samples_and_better_is_positive(make: Make) -> None:
    one, two = skilled(8, 0), skilled(8, 1, skill=1.6).sample(frac=1, random_state=0)
    runs = [make("a", table=one), make("b", table=two, seed=0)]
    found = compare(runs).table.set_index(["metric", "method", "run"])
    assert set(found.index.get_level_values("run")) == {str(runs[0].with_name(name)) for name in "ab"}
    folder = str(runs[1])
    for metric, sign in (("object_auc", 1), ("deletion", -1)):
        here, there = (
            part[(part["metric"] == metric) & (part["method"] == "good")].set_index("video")["value"]
            for part in (one, two)
        )
        away = sign * (there - here)
        row = found.loc[metric, "good", folder]
        wanted = clustered_interval(away.to_numpy(), away.index.tolist(), Resampling(200))
        assert tuple(row[["difference", "difference_low", "difference_high"]]) == pytest.approx(tuple(wanted)[:3])
        assert row["difference"] > 0.2
        assert row["mean"] == pytest.approx(there.mean())
        exact = stats.permutation_test(
            (away.to_numpy(), 0 * away.to_numpy()),
            lambda a, b, axis: (a - b).mean(axis=axis),
            permutation_type="samples",
        )
        assert row["p"] == pytest.approx(exact.pvalue, abs=0.03)
    first = found[found.index.get_level_values("run") != folder]
    assert first["difference"].isna().all()
    # Two hypotheses of the primary metric: good and random.
    p = found.loc["object_auc"].dropna(subset="p")
    assert p["p_holm"].min() == pytest.approx(2 * p["p"].min())
    assert found.loc["deletion"]["p_holm"].isna().all()


def test_what_may_differ_names_the_runs(make: Make) -> None:
    model = {"name": "other", "dtype": "float64"}
    runs = [
        make("a", model={"dtype": "float32"}),
        make("b", seed=3, model=model, data={**SETTINGS["data"], "root": "/there"}, workers=4),
    ]
    (runs[1] / "config.yaml").write_text((runs[1] / "config.yaml").read_text().replace("seed: 0", "seed: 7"))
    found = compare(runs).table
    assert list(dict.fromkeys(found["run"])) == [
        "model demo, dtype float32, seed 0",
        "model other, dtype float64, seed 7",
    ]
    assert list(dict.fromkeys(found["seed"])) == ["0", "7"]


def test_methods_and_metrics_of_one_run_alone_are_not_paired(make: Make) -> None:
    more = {"good": {"scale": 2}, "centre": None}
    found = compare([make("a", metrics={"object_auc": None}), make("b", seed=1, methods=more)]).table
    assert set(found["metric"]) == {"object_auc"}
    last = found[found["run"].str.endswith("b")].set_index("method")
    assert set(last.index) == {"good", "centre"}
    assert last["difference"].notna().to_dict() == {"good": True, "centre": False}
    assert last.loc["good", "parameters"] == '{"scale": 2}'


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"data": {"name": "demo", "videos": 9, "root": "/here"}}, r"data.videos is 8 in .*a, 9 in .*b$"),
        ({"model": {"frames": 4}}, r"model.frames is None in .*a, 4 in .*b$"),
        ({"model": {"sampling": "one_per_second"}}, r"model.sampling is 'uniform' in .*, 'one_per_second' in"),
        ({"target": "correct:0"}, r"target is 'predicted' in .*a, 'correct:0' in .*b$"),
        ({"imputers": ["blur"]}, r"imputers is \['blur', 'mean'\] in .*a, \['blur'\] in .*b$"),
        (
            {"metrics": {"object_auc": None, "deletion": {"of": "probability"}}},
            r"deletion is .*log_odds.*probab",
        ),
        ({"metrics": {"mass": None}}, "no metric in common|without results"),
    ],
)
def test_incompatible_settings_are_told_with_both_values(make: Make, changed: dict[str, Any], words: str) -> None:
    runs = [make("a"), make("b", **changed)]
    if "mass" in changed.get("metrics", {}):
        pd.read_parquet(runs[0] / "results.parquet").assign(metric="mass").to_parquet(runs[1] / "results.parquet")
    with pytest.raises(InputError, match=words):
        compare(runs)


def test_other_samples_are_refused_and_the_order_of_imputers_is_not(make: Make) -> None:
    table = skilled(8)
    other = table.assign(sample=table["sample"].replace({"s3": "s9"}))
    with pytest.raises(InputError, match=r"1 samples are in .*a and not in .*b, such as 's3'"):
        compare([make("a"), make("b", table=other)])
    assert len(compare([make("c"), make("d", imputers=["mean", "blur"])]).table) == 8


def test_directories_without_a_finished_run_are_told_in_one_line(make: Make, tmp_path: Path) -> None:
    whole = make("whole")
    for name in ("config.yaml", "environment.json", "results.parquet", "leaderboard.csv"):
        whole_file = (whole / name).read_bytes()
        for place, content in enumerate((None, b"\xff\xfe[", whole_file[: min(15, len(whole_file) // 2)])):
            path = make(f"{name}{place}") / name
            path.unlink()
            if content is not None:
                path.write_bytes(content)
            with pytest.raises(InputError, match="expected a finished run") as told:
                read(path.parent)
            assert "\n" not in str(told.value)
            assert name in str(told.value) or content is not None
    part = skilled(8)[lambda rows: rows["method"] == "good"]
    with pytest.raises(InputError, match=r"unfinished, without results of random"):
        read(make("part", table=part))
    with pytest.raises(InputError, match=r"results\.parquet lacks the columns chance, value"):
        read(make("columns", table=skilled(8).drop(columns=["value", "chance"])))
    for runs in ([], [whole, tmp_path / "." / "whole"]):
        with pytest.raises(InputError, match="each once"):
            compare(runs)


def test_the_command_prints_writes_and_refuses(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    one, two, bad = make("a"), make("b", seed=1), make("c", target="option:1")

    def run(*arguments: object) -> int:
        monkeypatch.setattr(sys, "argv", ["attrib", "compare", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        return int(stopped.value.code or 0)

    assert run(one, two, "-O", tmp_path / "table.csv", "--json") == 0
    rows = json.loads(capfd.readouterr().out)
    assert len(rows) == len(pd.read_csv(tmp_path / "table.csv")) == 8
    assert run(one, two) == 0
    out = capfd.readouterr().out
    assert "object_auc" in out
    assert "not shown, but written by --output FILE.csv: deletion" in out
    assert run(one, bad) == 2
    error = capfd.readouterr().err
    assert "target is 'predicted'" in " ".join(error.split())
    assert "Traceback" not in error
