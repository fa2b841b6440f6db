"""The Python entry points: explain one answer, run a benchmark."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrib import config, models, registry, render, video
from attrib.errors import InputError, told
from attrib.files import write_text
from attrib.method import Control, Method
from attrib.model import VideoModel, require_free_answers
from attrib.subject import Subject, Target
from attrib.types import Clip, Question, SaliencyVolume

if TYPE_CHECKING:
    from attrib.benchmarks.forecast import Forecast
    from attrib.benchmarks.runner import Outcome

Step = Callable[[str, int, int], None]  # what begins now, how many are done, of how many


@dataclass(frozen=True, eq=False)
class Explanation:
    """One answer explained: the subject, a volume for each method, and the error of each that failed.

    Word by word, volumes and failures are called METHOD.WORD, and the subject explains the whole answer. `explained`
    says in words what each volume explains.
    """

    subject: Subject
    volumes: Mapping[str, SaliencyVolume]
    failures: Mapping[str, str]
    explained: Mapping[str, str]

    @property
    def answer(self) -> str:
        """The option that the model chooses, in words, or the free answer."""
        reply = self.subject.question.reply
        return reply.text if reply else self.subject.question.options[self.subject.predicted]

    def summary(self) -> dict[str, Any]:
        """What `summary.json` holds: question, answer, probabilities, frames, and each method's cost and reports."""
        subject, question = self.subject, self.subject.question
        return {
            "video": str(subject.clip.path), "question": question.text, "options": list(question.options),
            **(_said(subject) if question.reply else _chosen(subject)), "answer_text": self.answer,
            "target": str(subject.target), "explained": subject.description,
            "score": float(subject.log_odds(subject.logprobs[None])[0]),
            "model": subject.model.name, "revision": subject.model.revision, "seed": subject.seed,
            "times": subject.clip.times.tolist(), "warnings": list(subject.clip.warnings),
            "methods": {name: self._costs(name) for name in self.volumes},
            "failures": dict(self.failures),
        }  # fmt: skip

    def save(self, directory: str | Path, step: Step | None = None) -> None:
        """Write NAME.npz, NAME.mp4 and NAME.png for each method, and summary.json."""
        folder = Path(directory)
        for done, (name, volume) in enumerate(self.volumes.items()):
            tell(step, f"drawing {name}", done, len(self.volumes))
            volume.save(folder / f"{name}.npz")
            drawing = render.Drawing(title=name, subtitle=f"{self.subject.question.text}  {self.explained[name]}")
            render.write_overlay(folder / f"{name}.mp4", volume, self.subject.clip, drawing)
            render.contact_sheet(folder / f"{name}.png", volume, self.subject.clip, drawing)
        write_text(folder / "summary.json", json.dumps(self.summary(), indent=2) + "\n")

    def _costs(self, name: str) -> dict[str, Any]:
        made = self.volumes[name].provenance
        return {
            "explained": self.explained[name], "parameters": dict(made.parameters), "seconds": made.seconds,
            "peak_memory": made.peak_memory, **made.extras,
        }  # fmt: skip


def _chosen(subject: Subject) -> dict[str, Any]:
    """The answer to a question with options, as letters, and their probabilities."""
    question = subject.question
    return {
        "answer": question.letters[subject.predicted],
        "correct_answer": None if question.answer is None else question.letters[question.answer],
        "probabilities": [math.exp(value) for value in subject.logprobs.tolist()],
    }


def _said(subject: Subject) -> dict[str, Any]:
    """A free answer, the log-probability of each token and the mean of each content word's."""
    reply, logprobs = subject.question.reply, subject.logprobs
    assert reply is not None  # the caller has looked
    parts = {word: subject.aimed(Target("answer", words=(word,))) for word in reply.content_words}
    tokens = zip(reply.tokens, logprobs.tolist(), strict=True)
    return {
        "answer": reply.text, "generated": reply.generated,
        "tokens": [{"token": token, "logprob": logprob} for token, logprob in tokens],
        "words": {word: float(part.log_odds(logprobs[None])[0]) for word, part in parts.items()},
    }  # fmt: skip


def tell(step: Step | None, what: str, done: int, total: int) -> None:
    """Report progress to `step`, if anybody listens."""
    if step is not None:
        step(what, done, total)


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
    step: Step | None = None,
) -> Explanation:
    """Explain the model's answer to a question about the video file `source`: the option it chooses, or a free answer.

    Without options that is `answer`, or what the model itself says: all of it, the `words` of it, or, with `per_word`,
    each of them (by default each content word) by itself. `methods`: names, or a mapping from row labels to parameters
    or Method objects; by default every registered method that is no control. `settings` are those of a benchmark's
    `model` section and `seed`. Raises InputError for bad input; a method that fails is recorded in `failures`.
    """
    words = (words,) if isinstance(words, str) else tuple(words)
    _check_asked(options, answer, bool(words or per_word), target)
    chosen = _method_objects(methods)
    parsed = config.parse({"methods": {}, "metrics": {}, **(settings or {})})
    if isinstance(model, str):
        parsed = parsed.model_copy(update={"model": parsed.model.model_copy(update={"name": model})})
    wanted = Target.parse(target) if options else Target("answer", words=() if per_word else words)
    asked = _with_answer(Question(question, tuple(options)), wanted)
    network = model if isinstance(model, VideoModel) else load(parsed.model)
    clip = video.read(source, frames=parsed.model.frames or network.frames, sampling=parsed.model.sampling)
    tell(step, "asking the model", 0, len(chosen))
    asked = asked if options else _with_reply(asked, network, clip, answer)
    subject = Subject.bind(network, clip, asked, wanted, parsed.seed)
    return _explained(subject, _by_word(subject, chosen, words) if per_word else _plain(subject, chosen), step)


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
    speaker = require_free_answers(model)
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


def _explained(subject: Subject, rows: Rows, step: Step | None) -> Explanation:
    volumes: dict[str, SaliencyVolume] = {}
    failures: dict[str, str] = {}
    for done, (name, (label, method, part)) in enumerate(rows.items()):
        tell(step, name, done, len(rows))
        try:
            volumes[name] = method.attribute(part, label)
        except InputError:
            raise
        except Exception as error:  # a plug-in may raise anything; the other methods go on
            failures[name] = told(error)
    return Explanation(subject, volumes, failures, {name: part.description for name, (_, _, part) in rows.items()})


def _method_objects(methods: Any) -> dict[str, Method]:
    if methods is None:
        every = {name: config.build("methods", name).item for name in registry.names("methods")}
        return {name: item for name, item in every.items() if not isinstance(item, Control)}
    if not isinstance(methods, Mapping):
        methods = dict.fromkeys([methods] if isinstance(methods, str) else methods)
    if not methods:
        raise InputError("methods: expected at least one, got none")
    return {
        label: given if isinstance(given, Method) else config.build("methods", label, given).item
        for label, given in methods.items()
    }


def load(section: config.ModelSection) -> VideoModel:
    """The model that a configuration's section describes."""
    return models.load(
        section.name, device=section.device, dtype=section.dtype, revision=section.revision, offline=section.offline
    )


def bench(
    settings: Mapping[str, Any] | str | Path | None = None,
    output: str | Path = "runs/demo",
    overrides: Iterable[str] = (),
    step: Step | None = None,
    retry_failed: bool = False,
) -> Outcome:
    """Run a benchmark into the directory `output`, or resume it there; without settings the built-in one.

    `settings`: a mapping or a YAML file; `overrides`: `a.b=c` texts. Raises InputError for bad input; what fails is
    recorded in the outcome and the others go on. What failed before stays so, unless `retry_failed`.
    """
    from attrib.benchmarks.runner import run  # benchmarks are plug-ins: the core does not need them

    return run(_bench_config(settings, overrides), Path(output), step, retry_failed)


def bench_forecast(
    settings: Mapping[str, Any] | str | Path | None = None,
    output: str | Path = "runs/demo",
    overrides: Iterable[str] = (),
    step: Step | None = None,
    retry_failed: bool = False,
) -> Forecast:
    """What `bench` with the same arguments would compute, and what it would cost. Writes nothing to `output`."""
    from attrib.benchmarks.forecast import forecast

    return forecast(_bench_config(settings, overrides), Path(output), step, retry_failed)


def _bench_config(settings: Mapping[str, Any] | str | Path | None, overrides: Iterable[str]) -> config.Config:
    found = settings if isinstance(settings, Mapping) else bench_settings(settings)
    return config.parse(config.override(found, overrides))


def bench_settings(path: str | Path | None = None, plugins: Iterable[str | Path] = ()) -> dict[str, Any]:
    """A YAML file's settings, the built-in benchmark's without one, with each plug-in file's methods and metrics added.

    Raises InputError when a file cannot be read or run.
    """
    found = config.read(Path(path or str(files("attrib.configs") / "demo.yaml")))
    for plugin in plugins:
        for kind, names in registry.load_plugin(plugin).items():
            section = found.setdefault(kind, {})
            if isinstance(section, dict):  # if it is not, the settings are refused when they are parsed
                named = {*section, *(given.get(kind[:-1]) for given in section.values() if isinstance(given, dict))}
                section.update(dict.fromkeys(name for name in names if name not in named))
    return found
