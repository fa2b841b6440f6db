"""Head of the report: the run's settings, the model's accuracy, and warnings that limit the conclusions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd
from scipy import stats

from attrib.benchmarks.jobs.finished_run import FinishedRun
from attrib.benchmarks.jobs.roles import searching
from attrib.benchmarks.report.json_values import number, text
from attrib.benchmarks.stats.permutation import SMALL_EFFECT, USUAL_SPREAD, videos_for_usual
from attrib.benchmarks.tables.tally import letter_masses, no_choices, tally
from attrib.errors import InputError

PACKAGES = ("attrib", "torch", "transformers", "captum", "numpy")
OWN = "the model's default number"
OPTIONAL = {  # file, and the section that is missing without it
    "curves.parquet": "deletion and insertion curves", "tasks.csv": "generality of each task",
    "nulls.parquet": "permutation nulls, and with them generality", "sanity.csv": "sanity checks",
    "floors.csv": "behavioural floors", "layers/atlas.png": "layers x heads",
    "trace/trace.png": "how the answer travels",
}  # fmt: skip


def head(run: FinishedRun) -> dict[str, Any]:
    """Settings of the run in words, and the model's accuracy."""
    settings, count = run.settings, tally(run.results)
    packages = run.environment.get("packages", {})
    data = {key: value for key, value in settings.data.items() if key not in ("name", "root")}
    model = settings.model
    facts = {
        "Model": f"{model.name}{_prefixed(model.revision, ', revision ')}, {model.dtype} on {model.device}",
        "Data": f"{settings.data.get('name')}{_prefixed(_as_text(data), ', ')}",
        "Videos and questions": f"{run.results['video'].nunique()} videos, {count.samples} questions",
        "Probability of the option letters": _masses(run),
        "Explained answer": f"{settings.target}; seed {settings.seed}",
        "Frames": f"{model.frames or OWN}, {model.sampling}",
        "Imputers": ", ".join(settings.imputers), "Machine": run.machine,
        "Versions": ", ".join(f"{name} {packages[name]}" for name in PACKAGES if name in packages),
    }  # fmt: skip
    return {
        "name": run.directory.absolute().name, "model": model.name, "data": str(settings.data.get("name")),
        "videos": int(run.results["video"].nunique()), "samples": count.samples, "accuracy": accuracy(run.results),
        "gate": [count.passed, count.tested], "facts": [[key, value] for key, value in facts.items() if value],
    }  # fmt: skip


def _masses(run: FinishedRun) -> str:
    """Median and least share of the vocabulary's probability on the letters; empty if no answer has one."""
    masses = letter_masses(run.results)
    return f"median {masses.median():.3f}, lowest {masses.min():.3f}" if len(masses) else ""


def _prefixed(value: Any, prefix: str) -> str:
    return f"{prefix}{value}" if value else ""


def _as_text(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in settings.items())


def accuracy(results: pd.DataFrame) -> dict[str, Any]:
    """Number and share of correct answers among questions with a known answer, with the Wilson 95 % interval."""
    count = tally(results)
    right, asked = count.correct, count.judged
    if not asked:
        return {"right": 0, "asked": 0, "share": None, "low": None, "high": None}
    ends = stats.binomtest(right, asked).proportion_ci(method="wilson")
    share = {"share": number(right / asked), "low": number(ends.low), "high": number(ends.high)}
    return {"right": right, "asked": asked, **share}


def warnings(run: FinishedRun) -> Iterator[str]:
    """Yield one sentence for each limit on the conclusions."""
    videos = int(run.results["video"].nunique())
    if videos < videos_for_usual():
        yield (
            f"{videos} video{'s' * (videos != 1)}: intervals are wide. Detecting a difference of {SMALL_EFFECT} at a "
            f"standard deviation of {USUAL_SPREAD} between videos takes about {videos_for_usual()} videos."
        )
    if run.settings.model.name == "demo" and run.settings.data.get("name") != "demo":
        yield (
            "The built-in model was trained on attrib's generated videos only: its answers to this data set, and "
            "therefore its maps, carry no information about these videos."
        )
    yield from _guessing(run)
    if words := no_choices(run.results):
        yield f"{words[0].upper()}{words[1:]}."
    yield from (f"{sentence}." for sentence in searching(run.settings))
    if failed := len(failures(run)):
        yield f"{failed} computation{'s' * (failed != 1)} failed and left no result: see Failures."
    if missing := [what for name, what in OPTIONAL.items() if not (run.directory / name).exists()]:
        yield f"Not computed in this run, and therefore missing here: {'; '.join(missing)}."


def _guessing(run: FinishedRun) -> Iterator[str]:
    result = accuracy(run.results)
    try:
        options = [len(sample.question.options) for sample in run.samples.values() if sample.question.options]
    except InputError as error:
        yield f"The data set cannot be read, so no samples are shown: {error}"
        return
    chance = sum(1 / count for count in options) / len(options) if options else None
    if chance and result["asked"] and result["low"] <= chance:
        yield (
            f"The model answers {result['right']} of {result['asked']} questions correctly, which is compatible with "
            f"guessing ({chance:.2f}): maps of such answers explain little."
        )


def failures(run: FinishedRun) -> list[dict[str, str]]:
    """Every failure of the run: sample, method, step and error message."""
    rows = []
    for name in ("results", "sanity", "floors", "nulls"):
        table = run.results if name == "results" else run.long(name)
        if table is None or "error" not in table:
            continue
        failed = table[table["error"].fillna("") != ""]
        for row in failed.to_dict("records"):
            what = text(row.get("metric")) or ("map" if name == "results" else name)
            imputer = text(row.get("imputer"))
            rows.append({
                "sample": text(row["sample"]), "method": text(row["method"]),
                "what": f"{what} {imputer}".strip(), "error": text(row["error"]),
            })  # fmt: skip
    return rows
