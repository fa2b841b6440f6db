"""The Python entry points: explain one answer, run a benchmark."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrib import config, registry, video
from attrib.capabilities import AnswersFreely, require
from attrib.errors import ConfigError, InputError, nearest, told
from attrib.explaining.binding import load
from attrib.explaining.explanation import Explanation
from attrib.method import Control, Method, NeedsAnnotation
from attrib.model import VideoModel
from attrib.runtime.progress import Progress, report_progress
from attrib.subject import Subject, Target
from attrib.types import Clip, Question, SaliencyVolume, Sample

if TYPE_CHECKING:
    from attrib.benchmarks.forecast import Forecast
    from attrib.benchmarks.runner import Outcome


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
    _check_asked(options, answer, bool(words or per_word), target)
    chosen, parsed = _method_objects(methods), settings_for(model, settings)
    wanted = Target.parse(target) if options else Target("answer", words=() if per_word else words)
    asked = _with_answer(Question(question, tuple(options)), wanted)
    network, clip = _watched(source, model, parsed)
    report_progress(step, "asking the model", 0, len(chosen))
    asked = asked if options else _with_reply(asked, network, clip, answer)
    subject = Subject.bind(network, clip, asked, wanted, parsed.seed)
    return _explained(subject, _by_word(subject, chosen, words) if per_word else _plain(subject, chosen), step)


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
    chosen, parsed = _method_objects(methods, annotated=True), settings_for(model, settings)
    wanted = Target.parse(target)
    network, clip = _watched(sample.video, model, parsed)
    report_progress(step, "asking the model", 0, len(chosen))
    subject = Subject.bind(network, clip, _with_answer(sample.question, wanted), wanted, parsed.seed)
    subject = replace(subject, sample=sample)
    return _explained(subject, _plain(subject, chosen), step)


def settings_for(model: str | VideoModel, settings: Mapping[str, Any] | None) -> config.Config:
    """The settings with the model's name, where `model` is one. Raises ConfigError where they name another."""
    parsed = config.parse({"methods": {}, "metrics": {}, **(settings or {})})
    if not isinstance(model, str):
        return parsed
    if "name" in parsed.model.model_fields_set and parsed.model.name != model:
        raise ConfigError(f"model.name: expected {model!r}, which is asked for (--model), got {parsed.model.name!r}")
    return parsed.model_copy(update={"model": parsed.model.model_copy(update={"name": model})})


def _watched(source: str | Path, model: str | VideoModel, parsed: config.Config) -> tuple[VideoModel, Clip]:
    """The model and the clip that it is shown."""
    network = model if isinstance(model, VideoModel) else load(parsed.model)
    frames = parsed.model.frames or network.frames
    return network, video.read(source, frames=frames, sampling=parsed.model.sampling)


def _check_asked(options: Sequence[str], answer: str | None, by_words: bool, target: str) -> None:
    if len(set(options)) < len(options):
        raise InputError(f"options: expected different ones, got {', '.join(map(repr, options))}")
    if options and answer is not None:
        raise InputError("options, answer: expected one of the two, got both")
    if options and by_words:
        raise InputError("words: expected a free answer, whose words they are; got options")
    if not options and target != "predicted":
        raise InputError(f"target {target!r}: expected options; of a free answer words can be chosen")
    if answer is not None and not answer.strip():
        raise InputError("answer: the text is empty")


def _with_reply(question: Question, model: VideoModel, clip: Clip, answer: str | None) -> Question:
    """The question with the given answer, or the model's own, as its tokens."""
    speaker = require(model, AnswersFreely, "free answers")
    given = speaker.generate(model.preprocess(clip), question) if answer is None else speaker.reply(answer)
    return replace(question, reply=given)


def _with_answer(question: Question, target: Target) -> Question:
    if target.kind == "correct" and target.options and target.options[0] < len(question.options):
        return Question(question.text, question.options, target.options[0], question.id)
    return question


Rows = Mapping[str, tuple[str, Method, Subject]]  # by the volume's name: the method's label, the method, its subject


def _plain(subject: Subject, methods: Mapping[str, Method]) -> Rows:
    return {label: (label, method, subject) for label, method in methods.items()}


def _by_word(subject: Subject, methods: Mapping[str, Method], words: Sequence[str]) -> Rows:
    """Each method for each word; by default the content words. Raises InputError when there is none."""
    reply = subject.question.reply
    assert reply is not None  # words of options were refused
    chosen = tuple(dict.fromkeys(word.casefold() for word in words)) or reply.content_words
    if not chosen:
        raise InputError(f"words: the answer {reply.text!r} has no content word; name those that are meant")
    parts = {word: subject.aimed(Target("answer", words=(word,))) for word in chosen}
    return {f"{label}.{word}": (label, methods[label], part) for label in methods for word, part in parts.items()}


def _explained(subject: Subject, rows: Rows, step: Progress | None) -> Explanation:
    volumes: dict[str, SaliencyVolume] = {}
    failures: dict[str, str] = {}
    for done, (name, (label, method, part)) in enumerate(rows.items()):
        report_progress(step, name, done, len(rows))
        try:
            volumes[name] = method.attribute(part, label)
        except InputError:
            raise
        except Exception as error:  # a plug-in may raise anything; the other methods go on
            failures[name] = told(error)
    return Explanation(subject, volumes, failures, {name: part.description for name, (_, _, part) in rows.items()})


def _method_objects(methods: Any, annotated: bool = False) -> dict[str, Method]:
    """By label; by default those that are no controls, and that need an annotation only where there is one."""
    if methods is None:
        every = {name: config.build("methods", name).item for name in registry.names("methods")}
        others = Control if annotated else (Control, NeedsAnnotation)
        return {name: item for name, item in every.items() if not isinstance(item, others)}
    if not isinstance(methods, Mapping):
        methods = dict.fromkeys([methods] if isinstance(methods, str) else methods)
    if not methods:
        raise InputError("methods: expected at least one, got none")
    return {
        label: given if isinstance(given, Method) else config.build("methods", label, given).item
        for label, given in methods.items()
    }


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
