"""docs/results.md: what the reference runs show, in sentences and tables that are made from their tables alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

from attrib.benchmarks.stats.multiple import ALPHA
from attrib.benchmarks.stats.permutation import POWER
from attrib.benchmarks.tables.tally import tally
from tools.reference import costs, models, power, rows, verdicts
from tools.reference.scores import ReferenceRun
from tools.reference.text import bullets, counted, listed, paragraph, table


def page(runs: Sequence[ReferenceRun], command: str = "") -> str:
    """Return the page's Markdown; with one run, a sentence stands for the comparison of models.

    The `command` is what made the runs, where that was not `make reference`.
    """
    parts = (_every_row, _winners, _disagreements, _models, _power, _costs)
    lines = [*_introduction(runs, command), *(line for part in parts for line in part(runs))]
    return "\n".join(lines).rstrip() + "\n"


def _introduction(runs: Sequence[ReferenceRun], command: str) -> Iterator[str]:
    first = runs[0]
    settings = first.run.settings
    controls = [label for label in settings.methods if first.run.roles.kind(label) == "control"]
    divided = [label for label, given in settings.methods.items() if (given or {}).get("null") == "divided"]
    yield "# Results on the built-in benchmark"
    yield ""
    yield from paragraph(
        f"{f'`{command}` ran' if command else '`make reference` runs `configs/reference.yaml`:'} "
        f"{counted(len(first.methods), 'method')} beside "
        f"{counted(len(controls), 'control')}, on held-out videos of the [built-in world](builtin_world.md), with "
        f"{counted(len(settings.metrics), 'metric')}, those that remove parts of the video under "
        f"{' and '.join(settings.imputers)}. `python -m tools.reference` then makes this page"
        f"{'' if command else ' and the tables in `results/reference/`'} from the finished runs. Intervals are of 95 % "
        "over videos ([statistics](statistics.md))." + f" With `null: divided`: {listed(divided)}." * bool(divided)
    )
    head = ["model", "videos", "questions", "answered correctly", "pass the gate", "failed"]
    yield from table(head, map(_size, runs))
    yield from paragraph(
        "All numbers are of all questions. A question passes the gate if the annotated evidence is what the model "
        "uses; `leaderboard.csv` has those alone too (subset `gated`)."
    )


def _size(one: ReferenceRun) -> list[str]:
    results = one.run.results
    counts, failed = tally(results), int((results["error"].fillna("") != "").sum()) if "error" in results else 0
    return [
        f"`{one.model}`", str(results["video"].nunique()), str(counts.samples), f"{counts.correct} of {counts.judged}",
        f"{counts.passed} of {counts.tested}", str(failed),
    ]  # fmt: skip


def _every_row(runs: Sequence[ReferenceRun]) -> Iterator[str]:
    yield "## Every row"
    yield ""
    for one in runs:
        yield from paragraph(f"Means with `{one.model}`{_fewer(one)}:")
        yield from rows.every_row(one)


def _fewer(one: ReferenceRun) -> str:
    """Name what is of fewer videos than the rest."""
    slow = one.board.loc[one.board["metric"] == "max_sensitivity", "videos"]
    sanity = one.run.table("sanity")
    texts = [f"`max_sensitivity` is of {counted(int(slow.max()), 'video')}"] if len(slow) else []
    if sanity is not None and len(sanity):
        texts.append(f"sanity of {counted(int(sanity['videos'].max()), 'video')}")
    return f" ({', '.join(texts)})" if texts else ""


def _winners(runs: Sequence[ReferenceRun]) -> Iterator[str]:
    yield "## What beats every control"
    yield ""
    yield from paragraph(
        "A cell is the mean difference to the best control on the same videos, positive where the method is better. "
        f"Bold: better than every control at {ALPHA:g} after Holm over all methods and primary metrics of the model "
        f"({', '.join(f'{len(one.tested)} hypotheses with `{one.model}`' for one in runs)})."
    )
    for one in runs:
        yield from paragraph(f"With `{one.model}`:")
        yield from verdicts.gains(one)
        yield from bullets(verdicts.winners(one))


def _disagreements(runs: Sequence[ReferenceRun]) -> Iterator[str]:
    yield "## Where imputers and metrics disagree"
    yield ""
    for one in runs:
        found = list(verdicts.disagreements(one))
        yield from paragraph(
            f"With `{one.model}`:"
            if found
            else f"With `{one.model}`, no method that leads on a primary metric and beats every control there fails to "
            "beat them on another."
        )
        yield from bullets([*found, *verdicts.imputers(one)])


def _models(runs: Sequence[ReferenceRun]) -> Iterator[str]:
    yield "## From one model to another"
    yield ""
    if len(runs) == 1:
        yield from paragraph(
            f"The only run is of `{runs[0].model}`: which conclusions hold for another model cannot be said."
        )
    for one, other in combinations(runs, 2):
        yield from paragraph(
            f"Rank correlation of the methods' means, without controls, between `{one.model}` and `{other.model}`; the "
            "interval resamples the same videos for both (percentiles, which lean towards 0):"
        )
        yield from models.correlations(one, other)
        yield from paragraph(
            "Methods that beat every control. Beating them with one model alone does not show that the models differ: "
            "so many videos may be too few for the other."
        )
        yield from models.verdicts(one, other)
        turned = [text for column in models.shared_columns(one, other) for text in verdicts.opposed(one, other, column)]
        none = (
            f"No method is better than the best control with `{one.model}` and worse with `{other.model}`, or the "
            "other way round, by intervals that leave out 0."
        )
        yield from bullets(turned or [none])


def _power(runs: Sequence[ReferenceRun]) -> Iterator[str]:
    yield "## What so many videos can tell"
    yield ""
    yield from paragraph(
        f"The smallest difference that a two-sided test at level a sees with power {POWER:g} is "
        f"(z(1 - a/2) + z({POWER:g})) sd / sqrt(n), where z are quantiles of the normal distribution, n is the number "
        "of videos, and sd the standard deviation over videos of a method's difference to its best control (the median "
        f"over methods). `one test`: a = {ALPHA:g}. `Holm's first`: a is {ALPHA:g} over the number of hypotheses. A "
        "smaller difference may well be missed; four times the videos halve it. `undecided`: methods whose interval of "
        "the difference to the best control contains 0."
    )
    for one in runs:
        yield from paragraph(f"With `{one.model}`:")
        yield from power.sights(one)


def _costs(runs: Sequence[ReferenceRun]) -> Iterator[str]:
    yield "## Cost"
    yield ""
    yield from paragraph(
        "Medians over the maps; the seconds are of the machine that ran them, to compare rows with. Passes are given "
        "where the method counts them: `forwards` without gradients, `gradients` with them."
    )
    yield from costs.costs(runs)
