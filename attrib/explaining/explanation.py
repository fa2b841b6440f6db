"""Result of explaining one answer: volumes, summary and pictures."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from attrib.errors import InputError, failure_message
from attrib.explaining import showing
from attrib.explaining.binding import LEAST_MASS, letter_mass, placement
from attrib.explaining.expected_memory import memory_note, memory_warnings
from attrib.method import Method
from attrib.model import vocabulary_warnings
from attrib.render import overlay
from attrib.render.text import missing_letters
from attrib.runtime.files import write_text
from attrib.runtime.progress import Progress, report_progress
from attrib.subject import Subject, Target
from attrib.types import SaliencyVolume, Sample

Tell = Callable[[str, tuple[str, ...]], None]  # a note, and warnings
Rows = Mapping[str, tuple[str, Method, Subject]]  # by the volume's name: the method's label, the method, its subject


@dataclass(frozen=True, eq=False)
class Explanation:
    """Explained answer: the subject, a volume for each method, and the error of each failed method.

    With one volume for each word, volumes and failures are named METHOD.WORD, and the subject explains the whole
    answer. `explained` describes in words what each volume explains.
    """

    subject: Subject
    volumes: Mapping[str, SaliencyVolume]
    failures: Mapping[str, str]
    explained: Mapping[str, str]
    letter_mass: float | None = None

    @property
    def answer(self) -> str:
        """Text of the option that the model chooses, or of the free answer."""
        reply = self.subject.question.reply
        return reply.text if reply else self.subject.question.options[self.subject.predicted]

    @property
    def warnings(self) -> tuple[str, ...]:
        """Warnings about the video, its annotation, the answer and missing fonts."""
        subject = self.subject
        known = subject.sample.warnings if subject.sample else ()
        question, tracks = subject.question, subject.sample.tracks if subject.sample else ()
        fonts = missing_letters([question.text, *question.options, *(track.label for track in tracks)])
        return (*subject.clip.warnings, *known, *self._no_choice(), *fonts)

    @property
    def notes(self) -> tuple[str, ...]:
        """Note of the words in question and options that the model does not know; none if it knows all."""
        return vocabulary_warnings(self.subject.model, self.subject.question)

    def _no_choice(self) -> tuple[str, ...]:
        """Warning that the letters have too little of the probability; none where they have enough."""
        if self.letter_mass is None or self.letter_mass >= LEAST_MASS:
            return ()
        share = f"the option letters have {self.letter_mass:.1%} of the model's probability"
        return (f"{share}: its answer is no choice among the options",)

    def summary(self) -> dict[str, Any]:
        """Content of `summary.json`: question, answer, probabilities, frames, each method's cost and reports.

        For an annotated question also its evidence and the rule behind it, tracks, segments and the cut.
        """
        subject, question = self.subject, self.subject.question
        return {
            "video": str(subject.clip.path), "question": question.text, "options": list(question.options),
            **(_free_answer(subject) if question.reply else _chosen_option(subject)), "answer_text": self.answer,
            **(_annotated(subject.sample) if subject.sample else {}),
            "letter_mass": self.letter_mass, "target": str(subject.target), "explained": subject.description,
            "score": float(subject.log_odds(subject.logprobs[None])[0]),
            "model": subject.model.name, "revision": subject.model.revision, "placement": placement(subject),
            "seed": subject.seed,
            "times": subject.clip.times.tolist(), "warnings": list(self.warnings),
            "notes": list(self.notes),
            "methods": {name: self._costs(name) for name in self.volumes},
            "failures": dict(self.failures),
        }  # fmt: skip

    def _repr_html_(self) -> str:
        return showing.html(self)

    def save(self, directory: str | Path, step: Progress | None = None, *, overlays: bool = True) -> str:
        """Write NAME.npz and NAME.png for each method, summary.json, and with `overlays` NAME.mp4, in one pass.

        Returns a note on the frames that the overlays leave out; empty if they have all.
        """
        folder, total = Path(directory), len(self.volumes)
        for done, (name, volume) in enumerate(self.volumes.items()):
            report_progress(step, f"drawing {name}", done, total)
            volume.save(folder / f"{name}.npz")
            overlay.contact_sheet(folder / f"{name}.png", volume, self.subject.clip, self.drawing(name))
        write_text(folder / "summary.json", json.dumps(self.summary(), indent=2) + "\n")
        if not overlays or not total:
            return ""
        report_progress(step, "drawing overlays", 0, 0)
        drawn = {folder / f"{name}.mp4": (volume, self.drawing(name)) for name, volume in self.volumes.items()}
        return overlay.write_overlays(drawn, self.subject.clip)

    def drawing(self, name: str) -> overlay.RenderOptions:
        """Return the texts and the annotation that belong on pictures of a volume."""
        subtitle = f"{self.subject.question.text}  {self.explained[name]}"
        sample = self.subject.sample
        return (
            overlay.RenderOptions.of(sample, name, subtitle)
            if sample
            else overlay.RenderOptions(title=name, subtitle=subtitle)
        )

    def _costs(self, name: str) -> dict[str, Any]:
        provenance = self.volumes[name].provenance
        return {
            "explained": self.explained[name], "parameters": dict(provenance.parameters), "seconds": provenance.seconds,
            "peak_memory": provenance.peak_memory, **provenance.reports,
        }  # fmt: skip


def attribute(subject: Subject, rows: Rows, step: Progress | None, tell: Tell | None = None) -> Explanation:
    """Compute each row's volume; record methods that fail and continue with the others.

    Raises InputError for parameters that do not fit the model. Before the work, `tell` gets a note where the model runs
    and what memory it is expected to need, and warnings.
    """
    for _, method, aimed in rows.values():
        method.check(aimed)
    if tell is not None:
        methods = [(label, method) for label, method, _ in rows.values()]
        tell(memory_note(subject, methods), memory_warnings(subject, methods))
    mass = letter_mass(subject)  # before the maps: an error here must not lose them
    volumes: dict[str, SaliencyVolume] = {}
    failures: dict[str, str] = {}
    for done, (name, (label, method, aimed)) in enumerate(rows.items()):
        report_progress(step, name, done, len(rows))
        try:
            volumes[name] = method.attribute(aimed, label)
        except InputError:
            raise
        except Exception as error:  # a plug-in may raise anything
            failures[name] = failure_message(error)
    explained = {name: aimed.description for name, (_, _, aimed) in rows.items()}
    return Explanation(subject, volumes, failures, explained, mass)


def _chosen_option(subject: Subject) -> dict[str, Any]:
    """Letters of the chosen and the right option, and the probabilities of all options."""
    question = subject.question
    return {
        "answer": question.letters[subject.predicted],
        "correct_answer": None if question.answer is None else question.letters[question.answer],
        "probabilities": [math.exp(value) for value in subject.logprobs.tolist()],
    }


def _free_answer(subject: Subject) -> dict[str, Any]:
    """Text of a free answer, log-probability of each token, and mean log-probability of each content word."""
    reply, logprobs = subject.question.reply, subject.logprobs
    assert reply is not None  # the caller checks
    subjects = {word: subject.aimed(Target("answer", words=(word,))) for word in reply.content_words}
    tokens = zip(reply.tokens, logprobs.tolist(), strict=True)
    return {
        "answer": reply.text, "generated": reply.generated,
        "tokens": [{"token": token, "logprob": logprob} for token, logprob in tokens],
        "words": {word: float(aimed.log_odds(logprobs[None])[0]) for word, aimed in subjects.items()},
    }  # fmt: skip


def _annotated(sample: Sample) -> dict[str, Any]:
    """Annotation of the question; `end` is None for an interval that is open to the video's end."""
    labels = {track.id: track.label for track in sample.tracks}
    evidence = [
        {**asdict(item), "label": labels.get(item.track), "end": None if math.isinf(item.end) else item.end}
        for item in sample.evidence
    ]
    tracks = [
        {
            "id": track.id,
            "label": track.label,
            "boxes": len(track.boxes),
            "is_evidence": track.id in sample.evidence_tracks,
        }
        for track in sample.tracks
    ]
    return {
        "sample": sample.id, "area": sample.area, "reasoning": sample.reasoning, "tags": list(sample.tags),
        "evidence_rule": sample.rule, "evidence": evidence, "tracks": tracks, "points": len(sample.points),
        "segments": [asdict(segment) for segment in sample.segments], "cut": sample.cut,
    }  # fmt: skip
