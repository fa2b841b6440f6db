"""Each sentence says what the tables say; a number is compared with the table, a claim with the rule."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest

from attrib.benchmarks.export.examples import short
from attrib.benchmarks.export.numbers import Numbers
from attrib.benchmarks.export.techreport import facts, findings, limits
from attrib.benchmarks.jobs.finished_run import FinishedRun, read

import export_cases as cases


def test_winners_are_those_whose_adjusted_p_is_small(tmp_path: Path) -> None:
    results = cases.rows({"Where?": 12}, {"relevance": 0.4, "raw_attention": 0.0, "random": 0.0, "motion": 0.05})
    numbers = Numbers(cases.written(tmp_path, results, resamples=2000))
    board = numbers.leaderboard
    won = board[(board["p_holm"] < 0.05)]
    assert set(won["method"]) == {"relevance"} and len(won) == 3, "the case is clear"
    (text,) = findings.headline(numbers)[:1]
    tests = "Holm over 6 hypotheses, 12 videos, p < .05"
    assert text == f"Better than every control ({tests}): relevance (on srg (blur), shuffled_auc and object_auc)."
    assert "Not above the best control on any of these metrics: raw_attention." in findings.findings(numbers)


def test_without_a_winner_the_nearest_is_named_with_what_it_would_take(made: FinishedRun, numbers: Numbers) -> None:
    board = numbers.leaderboard
    assert not (board["p_holm"] < 0.05).any(), "the case is clear"
    (text,) = findings.headline(numbers)[:1]
    assert text.startswith(
        "No method is better than every control on any primary metric (Holm over 9 hypotheses, 7 videos)."
    )
    known = board[board["difference"] > 0].dropna(subset=["p"])
    known = known[~known["method"].isin(["oracle"])].sort_values("p", kind="stable").iloc[0]
    table = made.table("differences")
    assert table is not None
    same = table[table["subset"] == "all"]
    for name in ("method", "metric", "control"):
        same = same[same[name] == known[name]]
    assert f"Nearest: {known['method']} on {known['metric']}" in text
    assert f"+{short(known['difference'])}" in text
    assert f"about {int(same['videos_needed'].iloc[0])} videos" in text


def test_where_the_correction_alone_is_in_the_way_no_fewer_videos_than_there_are_are_asked_for(tmp_path: Path) -> None:
    skill = dict.fromkeys(("relevance", "grad_cam", "raw_attention", "smoothgrad", "motion"), 0.0)
    results = cases.rows({"Where?": 6}, skill)
    results["value"] += 0.2 * ((results["method"] == "relevance") & (results["metric"] == "object_auc"))
    numbers = Numbers(cases.written(tmp_path, results))
    row = numbers.leaderboard.set_index(["method", "metric"]).loc[("relevance", "object_auc")]
    table = numbers.run.table("differences")
    assert table is not None and row["p_holm"] > 0.05
    need = table[(table["method"] == "relevance") & (table["metric"] == "object_auc")]["videos_needed"].iloc[0]
    assert need <= 6, "the case is clear"
    (text,) = findings.headline(numbers)[:1]
    assert "Nearest: relevance on object_auc" in text and "would need" not in text


def test_generality_is_told_of_all_videos_and_by_task(made: FinishedRun, numbers: Numbers) -> None:
    rows = made.table("tasks")
    assert rows is not None
    rows = rows[(rows["split"] == "all") & (rows["metric"] == "object_auc") & (rows["method"] == "relevance")]
    whole = rows[rows["kind"] == "all"].iloc[0]
    own = rows[rows["kind"] == "task"]
    text = findings.headline(numbers)[1]
    ends = f"{short(whole['above'])} [{short(whole['above_low'])}, {short(whole['above_high'])}] (n = 7)"
    assert f"The map of relevance beats its null on object_auc (above the median of its null) in {ends}" in text
    assert f"more than half of the videos of {int((own['above'] > 0.5).sum())} of 2 tasks" in text


def test_tasks_in_which_it_does_not_hold_are_named(tmp_path: Path) -> None:
    results = cases.rows({"holds": 3, "does not": 3}, {"relevance": 0.45, "motion": 0.0})
    bad = (results["task"] == "does not") & (results["method"] == "relevance") & (results["metric"] == "object_auc")
    results.loc[bad, "value"] = [0.0, 0.0, 3.0]
    numbers = Numbers(cases.written(tmp_path, results, cases.partners(results, 2)))
    assert (
        "The map of relevance beats its null in half of the videos or fewer of “does not” (1 of 3)."
        in findings.findings(numbers)
    )


def test_right_and_wrong_answers_are_told_apart(tmp_path: Path) -> None:
    results = cases.rows({"Where?": 6}, cases.SKILL)
    results["correct"] = results["sample"].isin(["s0000", "s0001", "s0002", "s0003"])
    numbers = Numbers(cases.written(tmp_path, results))
    told = findings.findings(numbers)
    part = results[(results["metric"] == "object_auc") & (results["method"] == "relevance")]
    right, wrong = (part.loc[part["correct"] == value, "value"].mean() for value in (True, False))
    assert any(text.startswith("The model answers 4 of 6 questions correctly.") for text in told)
    (text,) = [text for text in told if text.startswith("object_auc of relevance:")]
    assert f"{short(right)} [" in text and "of right answers (n = 4)" in text
    assert f"{short(wrong)} [" in text and "of wrong answers (n = 2)" in text


def test_answers_of_which_nobody_knows_whether_they_are_right_are_not_called_wrong(tmp_path: Path) -> None:
    results = cases.rows({"Where?": 3}, cases.SKILL)
    known = results["sample"].map({"s0000": True, "s0001": False}).astype("boolean")
    numbers = Numbers(cases.written(tmp_path / "some", results.assign(correct=known)))
    told = findings.findings(numbers)
    assert "answers 1 of 2 questions correctly. For the other 1 the correct answer is not known." in " ".join(told)
    numbers = Numbers(cases.written(tmp_path / "none", results.assign(correct=known.where(known.isna()))))
    told = findings.findings(numbers)
    assert any(text.startswith("The correct answers are not known.") for text in told)
    assert not any("correctly" in text for text in told)


def test_agreement_is_that_of_the_two_columns(made: FinishedRun, numbers: Numbers) -> None:
    table = made.table("agreement")
    assert table is not None
    row = table[(table["one"] == "srg blur") & (table["two"] == "object_auc")].iloc[0]
    wanted = f"correlation of {short(row['statistic'])} (srg (blur) and object_auc, {int(row['methods'])} rows)."
    assert any(text.endswith(wanted) for text in findings.findings(numbers))


@pytest.fixture
def copy(made: FinishedRun, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made.directory, tmp_path / "copy"))


def test_sanity_and_floors_are_counted_of_methods_alone(copy: Path) -> None:
    verdicts = [("relevance", "language", "fail", 3), ("relevance", "both", "pass", 3), ("grad_cam", "both", "pass", 3),
                ("raw_attention", "both", "undefined", 2), ("motion", "both", "fail", 3)]  # fmt: skip
    pd.DataFrame(verdicts, columns=["method", "part", "verdict", "videos"]).to_csv(copy / "sanity.csv", index=False)
    floors = [("relevance", "m", "blank", 0.2, 0.1, 3), ("relevance", "m", "swapped_video", 0.2, -0.1, 3),
              ("grad_cam", "m", "blank", 0.2, None, 3), ("motion", "m", "blank", 0.2, -0.3, 3)]  # fmt: skip
    names = ["method", "metric", "floor", "difference", "low", "videos"]
    pd.DataFrame(floors, columns=names).to_csv(copy / "floors.csv", index=False)
    numbers = Numbers(read(copy))
    told = findings.findings(numbers)
    failed = "(the map hardly changes) for relevance (parameters of language randomised); 3 videos."
    assert any(text.endswith(failed) for text in told)
    assert told[-1].endswith("passes for 1 method, and cannot be judged for 1 (3 videos).")
    both = [*verdicts, ("relevance", "vision", "undefined", 2)]
    pd.DataFrame(both, columns=["method", "part", "verdict", "videos"]).to_csv(copy / "sanity.csv", index=False)
    again = findings.findings(Numbers(read(copy)))
    assert again[-1].endswith("cannot be judged for 1 (3 videos)."), "relevance failed already"
    pd.DataFrame(verdicts[-1:], columns=["method", "part", "verdict", "videos"]).to_csv(
        copy / "sanity.csv", index=False
    )
    assert not any("sanity" in text for text in findings.findings(Numbers(read(copy)))), "controls are not told"
    told = limits.limits(numbers)
    assert any("Of 3 comparisons" in text and " 2 do not show the map above its floor" in text for text in told)


def test_a_trace_is_the_last_finding(copy: Path) -> None:
    before = findings.findings(Numbers(read(copy)))
    (copy / "trace").mkdir()
    for text, found in (
        ('{"finding": {"sentence": "It travels."}}', ["It travels."]), ('{"finding": {}}', []), ("[1]", []), ("{", []),
    ):  # fmt: skip
        (copy / "trace" / "trace.json").write_text(text)
        assert findings.findings(Numbers(read(copy))) == [*before, *found]


def test_limits_follow_size_evidence_and_data(tmp_path: Path) -> None:
    run = cases.written(tmp_path, cases.rows({"Where?": 1}, cases.SKILL), data={"name": "perception_test", "root": "x"})
    told = " ".join(limits.limits(Numbers(run)))
    assert "n = 1 video: there are means and no intervals" in told
    assert "trained on generated videos alone, not for perception_test" in told
    assert "exploratory" not in told, "all evidence is exact"
    assert "The best of up to 3 methods is selected on the same videos" in told


def test_of_one_method_none_is_picked(tmp_path: Path) -> None:
    run = cases.written(tmp_path, cases.rows({"Where?": 2}, {"relevance": 0.9, "random": 0.0}))
    assert "is selected on" not in " ".join(limits.limits(Numbers(run)))


def test_evidence_that_is_a_reading_is_called_exploratory(copy: Path) -> None:
    results = pd.read_parquet(copy / "results.parquet")
    rule = results["sample"].map({"s0000": "label in question", "s0001": "none", "s0002": "grounded"}).fillna("exact")
    results.assign(rule=rule.astype("string")).to_parquet(copy / "results.parquet", index=False)
    numbers = Numbers(read(copy))
    assert facts.evidence(numbers) == {"exact": 4, "label in question": 1, "none": 1, "grounded": 1}
    told = limits.limits(numbers)
    assert any(
        text.startswith("For 1 of 7 questions the evidence is inferred from the annotation (label in question)")
        for text in told
    )
    assert "No evidence, and therefore no alignment, for 1 question." in told
    assert any(text.startswith("n = 7 videos: detecting a difference of .02") and "442" in text for text in told)


def test_the_built_in_model_is_told_with_its_size_and_training(made: FinishedRun) -> None:
    model = facts.model(made)
    assert model["size"] == "1,110,464 parameters, 6 decoder layers of 4 heads"
    assert "tower (3,200 steps of 64)" in model["training"] and "seed 0" in model["training"]
    assert facts.model(made, "in my own way")["training"] == "in my own way"


@pytest.mark.parametrize(("name", "words"), [("owner/name-not-here", "as published; see the model card"),
                                             (".", "the checkpoint has no training record")])  # fmt: skip
def test_of_another_model_nothing_is_made_up(tmp_path: Path, name: str, words: str) -> None:
    where = str(tmp_path) if name == "." else name
    run = cases.written(tmp_path / "run", cases.rows({"Where?": 2}, cases.SKILL), model={"name": where})
    model = facts.model(run)
    assert words in model["training"]
    assert "unknown" in model["size"]


def test_methods_are_told_with_their_paper_and_parameters(tmp_path: Path) -> None:
    skill = {"relevance": 0.2, "mine": 0.1, "motion": 0.0}
    run = cases.written(tmp_path, cases.rows({"Where?": 2}, skill), mine={"method": "smoothgrad", "samples": 4})
    told = {one["label"]: one for one in facts.methods(Numbers(run))}
    assert told["relevance"]["reference"] == "Chefer et al. 2021, eq. 5 and 6"
    assert told["mine"]["given"] == "smoothgrad, samples = 4"
    assert told["mine"]["reference"] == "Smilkov et al. 2017, eq. 2"
    assert told["motion"]["kind"] == "control"
    assert told["motion"]["reference"] == ""  # "defined here" is no paper


LISTS = {"": [], "a": ["a"], "a and b": ["a", "b"], "a, b and c": list("abc"),
         "a, b, c, d, e and 2 others": list("abcdefg")}  # fmt: skip


@pytest.mark.parametrize(("text", "names"), LISTS.items())
def test_lists_in_words(text: str, names: list[str]) -> None:
    assert findings.listed(names) == text
