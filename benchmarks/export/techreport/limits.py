"""Limits of a run as sentences: templates filled with its numbers."""

from __future__ import annotations

from collections.abc import Iterator

from attrib.benchmarks.export.examples import short
from attrib.benchmarks.export.figures.captions import counted
from attrib.benchmarks.export.numbers import Numbers
from attrib.benchmarks.export.techreport import facts
from attrib.benchmarks.export.techreport.findings import listed, methods_of
from attrib.benchmarks.stats.permutation import SMALL_EFFECT, USUAL_SPREAD, videos_for_usual
from attrib.benchmarks.tables.generality import LEAST_PARTNERS

MANY_UNDEFINED = 0.1


def limits(numbers: Numbers) -> list[str]:
    """All limits that apply to the run."""
    return [
        *_size(numbers), *_picked(numbers), *_unseen(numbers), *_evidence(numbers), *_nulls(numbers),
        *_undefined(numbers), *_floors(numbers),
        "A map shows which regions the answer depends on, not how the model reasons with them.",
    ]  # fmt: skip


def _size(numbers: Numbers) -> Iterator[str]:
    wanted = videos_for_usual()
    if numbers.videos == 1:
        yield "n = 1 video: there are means and no intervals, and nothing here generalises to other videos."
    elif numbers.videos < wanted:
        yield (
            f"n = {numbers.videos} videos: detecting a difference of {short(SMALL_EFFECT)} at a standard deviation of "
            f"{short(USUAL_SPREAD)} takes about {wanted}, so “no clear difference” does not mean “equal”."
        )


def _picked(numbers: Numbers) -> Iterator[str]:
    """Yield a warning about selection bias of the best method."""
    compared = max((len(numbers.leading(column, len(numbers.order))) for column in numbers.columns), default=0)
    if compared > 1:
        yield (
            f"The best of up to {counted(compared, 'method')} is selected on the same videos that it is then "
            "evaluated on, so its score is optimistic; the interval does not account for that."
        )


def _unseen(numbers: Numbers) -> Iterator[str]:
    settings = numbers.run.settings
    name = str(settings.data.get("name", ""))
    if settings.model.name == facts.BUILT_IN and name != facts.BUILT_IN:
        yield (
            f"The built-in model was trained on generated videos alone, not for {name}: its answers and maps show only "
            "that the software works, and nothing about models trained for such data."
        )
    if settings.model.name == facts.BUILT_IN and name == facts.BUILT_IN:
        yield "Model and videos are the small built-in ones: nothing here carries over to natural video."


def _evidence(numbers: Numbers) -> Iterator[str]:
    rules = facts.evidence(numbers)
    if not rules:
        yield "The run does not record by which rule the evidence of a question was determined."
    elif unsure := facts.exploratory(rules):
        names = [rule for rule in rules if rule not in (*facts.ANNOTATED, "none")]
        yield (
            f"For {unsure} of {counted(sum(rules.values()), 'question')} the evidence is inferred from the annotation "
            f"({listed(names)}): alignment for these is exploratory."
        )
    if rules.get("none"):
        yield f"No evidence, and therefore no alignment, for {counted(rules['none'], 'question')}."


def _nulls(numbers: Numbers) -> Iterator[str]:
    for column in numbers.chosen[:1]:
        rows = numbers.generality(column)
        if numbers.share(rows).column == "above":
            partners = rows["partners"].median()
            yield (
                f"Each map could be paired with {partners:.0f} other videos (median); below {LEAST_PARTNERS} no video "
                "can reach p ≤ .05, so generality is the share above the median of the null, a weaker claim."
            )


def _undefined(numbers: Numbers) -> Iterator[str]:
    rows = numbers.leaderboard
    rows = methods_of(numbers, rows[rows["metric"].isin(numbers.run.metrics.primary)])
    if "undefined" in rows and numbers.tally.samples:
        share = rows.groupby("metric", sort=False)["undefined"].max() / numbers.tally.samples
        many = [f"{metric} (up to {value:.0%})" for metric, value in share.items() if value > MANY_UNDEFINED]
        if many:
            yield f"Undefined for a large share of the questions: {listed(many)}."


def _floors(numbers: Numbers) -> Iterator[str]:
    """Yield the number of comparisons in which a map is not significantly above its floor."""
    table = numbers.run.table("floors")
    if table is None or not {"method", "metric", "floor", "low", "difference", "videos"}.issubset(table.columns):
        return
    rows = methods_of(numbers, table.dropna(subset="difference"))
    weak = rows[~(rows["low"] > 0)]
    if len(rows):
        yield (
            f"Of {len(rows)} comparisons of a map with its own floor (a blank or another video, another question, "
            f"another option), {len(weak)} do not show the map above its floor; "
            f"{counted(int(rows['videos'].max()), 'video')}."
        )
