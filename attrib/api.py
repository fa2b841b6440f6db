"""Python entry points: explain one answer, run a benchmark. Torch is imported after bad input is refused."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrib import config, video
from attrib.explaining import request
from attrib.runtime.notebook_bar import with_bar
from attrib.runtime.progress import Progress, report_progress
from attrib.settings.benchmark import bench_settings, run_directory
from attrib.settings.engine import AUTO, Engine
from attrib.settings.shard import parse_shard
from attrib.types import Question, Sample

if TYPE_CHECKING:
    from attrib.benchmarks.forecast import Forecast
    from attrib.benchmarks.runner import Outcome
    from attrib.benchmarks.shards import ShardOutcome
    from attrib.explaining.explanation import Explanation, Tell
    from attrib.method import Method
    from attrib.model import VideoModel

OPTIONS = {"target": "--target", "methods": "--method", "data": "--data"}  # arguments, not settings


@with_bar
def explain(
    source: str | Path,
    question: str,
    options: Sequence[str] = (),
    *,
    answer: str | None = None,
    words: str | Sequence[str] = (),
    per_word: bool = False,
    model: str | VideoModel = "demo",
    methods: Iterable[str] | Mapping[str, Mapping[str, Any] | Method | None] | None = None,
    target: str = "predicted",
    settings: Mapping[str, Any] | None = None,
    step: Progress | None = None,
    tell: Tell | None = None,
) -> Explanation:
    """Explain the model's answer to a question about the video file `source`: the option it chooses, or a free answer.

    A question without options has a free answer: `answer`, or by default the model's own. The explanation covers all of
    it, only its `words`, or, with `per_word`, each of these (by default each content word) by itself. `methods`: names,
    or a mapping from row labels to parameters or Method objects; by default every registered method except controls
    and methods that need an annotation. `settings`: a benchmark's `model` section and `seed`. `tell` is called before
    the methods run, with a note (device, dtype, tokens, expected memory) and warnings. Raises InputError for bad input;
    a method that fails is recorded in `failures`.
    """
    words = (words,) if isinstance(words, str) else tuple(words)
    request.check(options, answer, bool(words or per_word), target)
    chosen, parsed = request.labelled(methods), request.explain_settings(model, settings, OPTIONS)
    asked = Question(question, tuple(options))
    video.check_file(Path(source))
    from attrib.explaining import rows
    from attrib.explaining.binding import FrameSampling, load, with_reply
    from attrib.explaining.explanation import attribute
    from attrib.subject import Subject, Target

    objects = rows.method_objects(chosen)
    aim = Target.parse(target) if options else Target("answer", words=() if per_word else words)
    network = load(parsed.model) if isinstance(model, str) else model
    clip = FrameSampling.of(parsed.model, network).read(source)
    report_progress(step, "asking the model", 0, len(objects))
    asked = rows.with_answer(asked, aim) if options else with_reply(asked, network, clip, answer)
    subject = Subject.bind(network, clip, asked, aim, parsed.seed)
    planned = rows.by_word(subject, objects, words) if per_word else rows.by_method(subject, objects)
    return attribute(subject, planned, step, tell)


@with_bar
def explain_sample(
    sample: Sample,
    *,
    model: str | VideoModel = "demo",
    methods: Iterable[str] | Mapping[str, Mapping[str, Any] | Method | None] | None = None,
    target: str = "predicted",
    settings: Mapping[str, Any] | None = None,
    step: Progress | None = None,
    tell: Tell | None = None,
) -> Explanation:
    """Explain the model's answer to an annotated question; pictures and summary then show the annotation too.

    `sample` is one of a data set's, such as `PerceptionTest(root).sample("video_7110")`. Methods that need an
    annotation can be asked for, and are among the default ones; all else is as with `explain`.
    """
    chosen, parsed = request.labelled(methods), request.explain_settings(model, settings, OPTIONS)
    video.check_file(Path(sample.video))
    from attrib.explaining import rows
    from attrib.explaining.binding import bind_sample, load
    from attrib.explaining.explanation import attribute
    from attrib.subject import Target

    objects, aim = rows.method_objects(chosen, annotated=True), Target.parse(target)
    network = load(parsed.model) if isinstance(model, str) else model
    report_progress(step, f"asking the model on {network.device}", 0, len(objects))
    asked = replace(sample, question=rows.with_answer(sample.question, aim))
    subject = replace(bind_sample(network, parsed, asked, aim), sample=sample)
    return attribute(subject, rows.by_method(subject, objects), step, tell)


@with_bar
def bench(
    settings: Mapping[str, Any] | str | Path | None = None,
    output: str | Path | None = None,
    overrides: Iterable[str] = (),
    step: Progress | None = None,
    retry_failed: bool = False,
    replace: bool = False,
    engine: Engine = AUTO,
) -> Outcome:
    """Run a benchmark into the directory `output`, or resume it there; without settings the built-in one.

    `settings`: a mapping or a YAML file; `overrides`: `a.b=c` texts; `output`: by default runs/NAME, as `run_directory`
    says; `engine`: the processes that compute. Failures are recorded in the outcome and the run continues; earlier ones
    stay unless `retry_failed`. Raises InputError for bad input, and where `output` holds a run of other data, model,
    target or seed: `replace` removes that run first.
    """
    directory = Path(output) if output is not None else run_directory(settings)
    parsed = _bench_config(settings, overrides)
    from attrib.benchmarks.runner import run  # benchmarks are plug-ins: the core does not need them

    return run(parsed, directory, step, retry_failed, replace, engine)


def bench_shard(
    shard: str,
    settings: Mapping[str, Any] | str | Path | None = None,
    output: str | Path | None = None,
    overrides: Iterable[str] = (),
    step: Progress | None = None,
    retry_failed: bool = False,
    engine: Engine = AUTO,
) -> ShardOutcome:
    """Compute one shard of a benchmark, `I/N` or `auto`, into a directory that all shards share; write no tables.

    `bench` with the same other arguments then computes what is left and writes the results. Raises InputError as
    `bench` does.
    """
    part, directory = parse_shard(shard), Path(output) if output is not None else run_directory(settings)
    parsed = _bench_config(settings, overrides)
    from attrib.benchmarks.shards import run_shard

    return run_shard(parsed, directory, part, step, retry_failed, engine)


def bench_forecast(
    settings: Mapping[str, Any] | str | Path | None = None,
    output: str | Path | None = None,
    overrides: Iterable[str] = (),
    step: Progress | None = None,
    retry_failed: bool = False,
    replace: bool = False,
    engine: Engine = AUTO,
) -> Forecast:
    """Forecast what `bench` with the same arguments would compute and cost. Writes nothing to `output`."""
    directory = Path(output) if output is not None else run_directory(settings)
    parsed = _bench_config(settings, overrides)
    from attrib.benchmarks.forecast import forecast

    return forecast(parsed, directory, step, retry_failed, replace, engine)


def _bench_config(settings: Mapping[str, Any] | str | Path | None, overrides: Iterable[str]) -> config.Config:
    base = settings if isinstance(settings, Mapping) else bench_settings(settings)
    given = config.override(base, overrides)
    config.check_names(given)
    return config.parse(given)
