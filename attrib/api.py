"""The Python entry points: explain one answer, run a benchmark."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrib import config, registry
from attrib.errors import InputError, nearest
from attrib.explaining import request
from attrib.explaining.binding import FrameSampling, bind_sample, explain_settings, load
from attrib.explaining.explanation import Explanation, attribute
from attrib.method import Method
from attrib.model import VideoModel
from attrib.runtime.progress import Progress, report_progress
from attrib.subject import Subject, Target
from attrib.types import Question, Sample

if TYPE_CHECKING:
    from attrib.benchmarks.forecast import Forecast
    from attrib.benchmarks.runner import Outcome

OPTIONS = {
    "target": "--target",
    "methods": "--method",
    "data": "--data",
}  # arguments, not settings


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
) -> Explanation:
    """Explain the model's answer to a question about the video file `source`: the option it chooses, or a free answer.

    Without options that is `answer`, or what the model itself says: all of it, the `words` of it, or, with `per_word`,
    each of them (by default each content word) by itself. `methods`: names, or a mapping from row labels to parameters
    or Method objects; by default every registered method that is no control and needs no annotation. `settings` are
    those of a benchmark's `model` section and `seed`. Raises InputError for bad input; a method that fails is recorded
    in `failures`.
    """
    words = (words,) if isinstance(words, str) else tuple(words)
    request.check(options, answer, bool(words or per_word), target)
    objects, parsed = request.method_objects(methods), explain_settings(model, settings, OPTIONS)
    aim = Target.parse(target) if options else Target("answer", words=() if per_word else words)
    asked = request.with_answer(Question(question, tuple(options)), aim)
    network = model if isinstance(model, VideoModel) else load(parsed.model)
    clip = FrameSampling.of(parsed.model, network).read(source)
    report_progress(step, "asking the model", 0, len(objects))
    asked = asked if options else request.with_reply(asked, network, clip, answer)
    subject = Subject.bind(network, clip, asked, aim, parsed.seed)
    rows = request.rows_by_word(subject, objects, words) if per_word else request.rows(subject, objects)
    return attribute(subject, rows, step)


def explain_sample(
    sample: Sample,
    *,
    model: str | VideoModel = "demo",
    methods: Iterable[str] | Mapping[str, Mapping[str, Any] | Method | None] | None = None,
    target: str = "predicted",
    settings: Mapping[str, Any] | None = None,
    step: Progress | None = None,
) -> Explanation:
    """Explain the model's answer to an annotated question; pictures and summary then show the annotation too.

    `sample` is one of a data set's, such as `PerceptionTest(root).sample("video_7110")`. Methods that need an
    annotation can be asked for, and are among the default ones; all else is as with `explain`.
    """
    objects, parsed = request.method_objects(methods, annotated=True), explain_settings(model, settings, OPTIONS)
    aim = Target.parse(target)
    network = model if isinstance(model, VideoModel) else load(parsed.model)
    report_progress(step, "asking the model", 0, len(objects))
    asked = replace(sample, question=request.with_answer(sample.question, aim))
    subject = replace(bind_sample(network, parsed, asked, aim), sample=sample)
    return attribute(subject, request.rows(subject, objects), step)


def bench(
    settings: Mapping[str, Any] | str | Path | None = None,
    output: str | Path | None = None,
    overrides: Iterable[str] = (),
    step: Progress | None = None,
    retry_failed: bool = False,
    replace: bool = False,
) -> Outcome:
    """Run a benchmark into the directory `output`, or resume it there; without settings the built-in one.

    `settings`: a mapping or a YAML file; `overrides`: `a.b=c` texts; `output`: by default runs/NAME, as `run_directory`
    says. Failures are recorded in the outcome and the run continues; earlier ones stay unless `retry_failed`. Raises
    InputError for bad input, and where `output` holds a run of other data, model, target or seed: `replace` removes
    that run first.
    """
    from attrib.benchmarks.runner import run  # benchmarks are plug-ins: the core does not need them

    directory = Path(output) if output is not None else run_directory(settings)
    return run(_bench_config(settings, overrides), directory, step, retry_failed, replace)


def bench_forecast(
    settings: Mapping[str, Any] | str | Path | None = None,
    output: str | Path | None = None,
    overrides: Iterable[str] = (),
    step: Progress | None = None,
    retry_failed: bool = False,
    replace: bool = False,
) -> Forecast:
    """Forecast what `bench` with the same arguments would compute and cost. Writes nothing to `output`."""
    from attrib.benchmarks.forecast import forecast

    directory = Path(output) if output is not None else run_directory(settings)
    return forecast(_bench_config(settings, overrides), directory, step, retry_failed, replace)


def run_directory(settings: Mapping[str, Any] | str | Path | None) -> Path:
    """Default directory of a run: runs/NAME of a YAML file, runs/demo without settings, runs/custom of a mapping."""
    return Path("runs") / ("custom" if isinstance(settings, Mapping) else Path(settings or "demo").stem)


def _bench_config(settings: Mapping[str, Any] | str | Path | None, overrides: Iterable[str]) -> config.Config:
    found = settings if isinstance(settings, Mapping) else bench_settings(settings)
    return config.parse(config.override(found, overrides))


def bench_settings(path: str | Path | None = None, plugins: Iterable[str | Path] = ()) -> dict[str, Any]:
    """A YAML file's settings with each plug-in file's methods and metrics added; without one the built-in benchmark's.

    `path` may be the plain name of a shipped one, such as `perception_test`, where no such file lies here. Raises
    InputError when a file cannot be read or run.
    """
    found = config.read(_settings_file(Path(path or "demo")))
    for plugin in plugins:
        for kind, names in registry.load_plugin(plugin).items():
            section = found.setdefault(kind, {}) if kind != "imputers" else _imputer_section(found, names)
            if isinstance(section, dict):  # if it is not, the settings are refused when they are parsed
                named = {*section, *(given.get(kind[:-1]) for given in section.values() if isinstance(given, dict))}
                section.update(dict.fromkeys(name for name in names if name not in named))
    return found


def _imputer_section(settings: dict[str, Any], added: list[str]) -> Any:
    """The section `imputers`, as a mapping where imputers are to be added to a list of names or to the default."""
    default = config.Config.model_fields["imputers"].default
    section = settings.get("imputers", default)
    if added:
        section = config.imputer_section(section) if isinstance(section, list) else section
        settings["imputers"] = dict(section) if section is default else section
    return settings.get("imputers")


def _settings_file(path: Path) -> Path:
    """The file, or the shipped one of that name."""
    if path.suffix or os.path.isfile(path):
        return path
    shipped = {found.stem: found for found in Path(str(files("attrib.configs"))).glob("*.yaml")}
    if str(path) not in shipped:
        raise InputError(f"{path}: expected a YAML file or the name of a shipped one; {nearest(str(path), shipped)}")
    return shipped[str(path)]
