"""The Python entry points: explain one answer, run a benchmark."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrib import config, models, registry, render, video
from attrib.errors import InputError, told
from attrib.files import write_text
from attrib.method import Control, Method
from attrib.model import VideoModel
from attrib.subject import Subject, Target
from attrib.types import Question, SaliencyVolume

if TYPE_CHECKING:
    from attrib.benchmarks.runner import Outcome

Step = Callable[[str, int, int], None]  # what begins now, how many are done, of how many


@dataclass(frozen=True, eq=False)
class Explanation:
    """One answer explained: the subject, a volume for each method, and the error of each that failed."""

    subject: Subject
    volumes: Mapping[str, SaliencyVolume]
    failures: Mapping[str, str]

    @property
    def answer(self) -> str:
        """The option that the model chooses, in words."""
        return self.subject.question.options[self.subject.predicted]

    def summary(self) -> dict[str, Any]:
        """What `summary.json` holds: question, answer, probabilities, frames, and each method's cost and reports."""
        subject, question = self.subject, self.subject.question
        return {
            "video": str(subject.clip.path), "question": question.text, "options": list(question.options),
            "answer": question.letters[subject.predicted], "answer_text": self.answer,
            "correct_answer": None if question.answer is None else question.letters[question.answer],
            "probabilities": [math.exp(value) for value in subject.logprobs.tolist()],
            "target": str(subject.target), "explained": subject.description,
            "score": float(subject.log_odds(subject.logprobs[None])[0]),
            "model": subject.model.name, "revision": subject.model.revision, "seed": subject.seed,
            "times": subject.clip.times.tolist(), "warnings": list(subject.clip.warnings),
            "methods": {name: _costs(volume) for name, volume in self.volumes.items()},
            "failures": dict(self.failures),
        }  # fmt: skip

    def save(self, directory: str | Path, step: Step | None = None) -> None:
        """Write NAME.npz, NAME.mp4 and NAME.png for each method, and summary.json."""
        folder = Path(directory)
        for done, (name, volume) in enumerate(self.volumes.items()):
            tell(step, f"drawing {name}", done, len(self.volumes))
            volume.save(folder / f"{name}.npz")
            drawing = render.Drawing(title=name, subtitle=f"{self.subject.question.text}  {self.subject.description}")
            render.write_overlay(folder / f"{name}.mp4", volume, self.subject.clip, drawing)
            render.contact_sheet(folder / f"{name}.png", volume, self.subject.clip, drawing)
        write_text(folder / "summary.json", json.dumps(self.summary(), indent=2) + "\n")


def _costs(volume: SaliencyVolume) -> dict[str, Any]:
    made = volume.provenance
    return {
        "parameters": dict(made.parameters),
        "seconds": made.seconds,
        "peak_memory": made.peak_memory,
        **made.extras,
    }


def tell(step: Step | None, what: str, done: int, total: int) -> None:
    """Report progress to `step`, if anybody listens."""
    if step is not None:
        step(what, done, total)


def explain(
    source: str | Path,
    question: str,
    options: Sequence[str],
    *,
    model: str | VideoModel = "demo",
    methods: Iterable[str] | Mapping[str, Mapping[str, Any] | Method | None] | None = None,
    target: str = "predicted",
    settings: Mapping[str, Any] | None = None,
    step: Step | None = None,
) -> Explanation:
    """Explain the model's answer to a question about the video file `source`.

    `methods`: names, or a mapping from row labels to parameters or Method objects; by default every registered method
    that is no control. `settings` are those of a benchmark's `model` section and `seed`. Raises InputError for bad
    input; a method that fails is recorded in `failures` and the others go on.
    """
    if len(set(options)) < len(options):
        raise InputError(f"options: expected different ones, got {', '.join(map(repr, options))}")
    chosen = _method_objects(methods)
    parsed = config.parse({"methods": {}, "metrics": {}, **(settings or {})})
    if isinstance(model, str):
        parsed = parsed.model_copy(update={"model": parsed.model.model_copy(update={"name": model})})
    wanted, asked = Target.parse(target), Question(question, tuple(options))
    asked = _with_answer(asked, wanted)
    network = model if isinstance(model, VideoModel) else load(parsed.model)
    clip = video.read(source, frames=parsed.model.frames or network.frames, sampling=parsed.model.sampling)
    tell(step, "asking the model", 0, len(chosen))
    subject = Subject.bind(network, clip, asked, wanted, parsed.seed)
    return _explained(subject, chosen, step)


def _with_answer(question: Question, target: Target) -> Question:
    if target.kind == "correct" and target.options and target.options[0] < len(question.options):
        return Question(question.text, question.options, target.options[0], question.id)
    return question


def _explained(subject: Subject, methods: Mapping[str, Method], step: Step | None) -> Explanation:
    volumes: dict[str, SaliencyVolume] = {}
    failures: dict[str, str] = {}
    for done, (label, method) in enumerate(methods.items()):
        tell(step, label, done, len(methods))
        try:
            volumes[label] = method.attribute(subject, label)
        except InputError:
            raise
        except Exception as error:  # a plug-in may raise anything; the other methods go on
            failures[label] = told(error)
    return Explanation(subject, volumes, failures)


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
) -> Outcome:
    """Run a benchmark into the directory `output`, or resume it there; without settings the built-in one.

    `settings`: a mapping or a YAML file; `overrides`: `a.b=c` texts. Raises InputError for bad input; items that fail
    are recorded in the outcome and the others go on.
    """
    from attrib.benchmarks.runner import run  # benchmarks are plug-ins: the core does not need them

    found = settings if isinstance(settings, Mapping) else bench_settings(settings)
    return run(config.parse(config.override(found, overrides)), Path(output), step)


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
