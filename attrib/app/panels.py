"""The answer and the saliency over time as HTML. Every text from outside is escaped by the templates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jinja2 import Environment
from numpy.typing import NDArray

from attrib.explaining.explanation import Explanation
from attrib.types import SaliencyVolume

WIDTH, HEIGHT = 1000, 100  # size of a row of the timeline, in SVG units
TICKS = 6  # most ticks on the time axis
Floats = NDArray[np.float64]

ANSWER = """
<div class="at-answer">
  <p class="at-said" dir="auto">{{ headline }}</p>
  {% if bars %}<table><caption class="at-hidden">{{ caption }}</caption>
  {% for bar in bars %}<tr{% if bar.chosen %} class="at-chosen"{% endif %}>
    <th scope="row" dir="auto">{{ bar.text }}</th>
    <td><span class="at-bar" aria-hidden="true"><i style="width: {{ '%.1f' % (100 * bar.share) }}%"></i></span></td>
    <td class="at-number">{{ '%.1f' % (100 * bar.share) }} %</td></tr>
  {% endfor %}</table>{% endif %}
  <p class="at-note">Explained: <bdi>{{ explained }}</bdi>. {{ notes }}</p>
  {% for failure in failures %}<p class="at-failed">{{ failure }}</p>{% endfor %}
</div>"""

TIMELINE = """
<div class="at-plot" role="slider" tabindex="0" aria-label="Time in the video" aria-describedby="at-peaks"
  aria-valuemin="{{ start }}" aria-valuemax="{{ end }}" aria-valuenow="{{ start }}"
  data-times="{{ times | join(' ') }}">
  {% for row in rows %}<div class="{{ 'at-row at-shown' if row.shown else 'at-row' }}" title="{{ row.title }}">
  <span class="at-name">{{ row.name }}</span>
  <svg viewBox="0 0 {{ width }} {{ height }}" preserveAspectRatio="none" aria-hidden="true">
  <path class="at-area" d="{{ row.path }}"/><line class="at-base" x2="{{ width }}" y1="{{ height }}" y2="{{ height }}"/>
  <line class="at-even" x2="{{ width }}" y1="{{ row.even }}" y2="{{ row.even }}"/></svg></div>{% endfor %}
  <div class="at-axis">{% for tick in ticks %}<span style="left: {{ tick.left }}%">{{ tick.text }}</span>
  {% endfor %}</div>
  <div class="at-cursor"></div>
</div>
<p class="at-hidden" id="at-peaks">{{ peaks }}</p>
<p class="at-note">Share of each method's positive saliency that lies in each sampled frame, drawn until the next one.
Dashed: the same in every frame. Each row has its own scale. Click to seek, or use the arrow keys.</p>"""

_TEMPLATES = Environment(autoescape=True)
_ANSWER, _TIMELINE = _TEMPLATES.from_string(ANSWER), _TEMPLATES.from_string(TIMELINE)


class Bar(NamedTuple):
    """An option, or a token of a free answer, with its probability."""

    text: str
    share: float
    chosen: bool


class Row(NamedTuple):
    """One method's saliency over time: an area, and the level `even` of a map without a preference."""

    name: str
    title: str
    path: str
    even: float
    shown: bool


def answer(explanation: Explanation) -> str:
    """HTML of the answer: probabilities of options or of a free answer's tokens, costs and failures."""
    subject, summary = explanation.subject, explanation.summary()
    if subject.question.options:
        letters = subject.question.letters
        headline = f"{letters[subject.predicted]}. {explanation.answer}"
        bars = [Bar(f"{letter}. {text}", share, letter == summary["answer"]) for letter, text, share
                in zip(letters, subject.question.options, summary["probabilities"], strict=True)]  # fmt: skip
    else:
        headline = explanation.answer
        bars = [Bar(item["token"].strip() or repr(item["token"]), float(np.exp(item["logprob"])), False)
                for item in summary["tokens"]]  # fmt: skip
    costs = ", ".join(f"{name} {volume.provenance.seconds:.1f} s" for name, volume in explanation.volumes.items())
    warnings = [text.removeprefix(f"{subject.clip.path}: ") for text in (*explanation.warnings, *explanation.notes)]
    sentences = [text[:1].upper() + text[1:] for text in warnings]
    notes = ". ".join([f"The model looked at {len(subject.clip)} frames", costs, *sentences, ""]).strip()
    return _ANSWER.render(
        headline=headline, bars=bars, explained=subject.description, notes=notes, caption="probabilities",
        failures=[f"{name} failed: {error}" for name, error in explanation.failures.items()],
    )  # fmt: skip


def timelines(explanation: Explanation) -> dict[str, str]:
    """HTML of the timeline by method, each with that method highlighted."""
    return {name: timeline(explanation.volumes, explanation.subject.clip.end, name) for name in explanation.volumes}


def timeline(volumes: Mapping[str, SaliencyVolume], end: float, shown: str) -> str:
    """HTML of a timeline: a row for each method over one time axis in seconds; `end`: end of the last frame."""
    edges = np.r_[next(iter(volumes.values())).times, end]
    across = WIDTH * (edges - edges[0]) / (edges[-1] - edges[0])
    rows = [_row(name, profile(volume), across, name == shown) for name, volume in volumes.items()]
    return _TIMELINE.render(
        width=WIDTH, height=HEIGHT, rows=rows, ticks=_ticks(edges), start=float(edges[0]), end=float(edges[-1]),
        times=edges[:-1].tolist(), peaks="; ".join(row.title for row in rows),
    )  # fmt: skip


def profile(volume: SaliencyVolume) -> Floats:
    """Share (t,) of the positive saliency in each frame; zeros if nothing is positive."""
    mass = np.maximum(volume.values, 0).astype(np.float64).sum(axis=(1, 2))
    return np.asarray(mass / mass.sum() if mass.sum() > 0 else mass)


def _row(name: str, shares: Floats, across: Floats, shown: bool) -> Row:
    most = max(float(shares.max()), 1 / len(shares))
    heights = HEIGHT * (1 - shares / most)
    steps = " ".join(f"V{y:.2f} H{x:.2f}" for y, x in zip(heights, across[1:], strict=True))
    peak = int(shares.argmax())
    title = f"{name}: most in frame {peak + 1} of {len(shares)}, {shares[peak]:.0%} of its positive saliency"
    path = f"M0 {HEIGHT} {steps} V{HEIGHT} Z"
    return Row(name, title, path, round(HEIGHT * (1 - 1 / len(shares) / most), 2), shown)


def _ticks(edges: Floats) -> Sequence[dict[str, Any]]:
    """Ticks at round seconds along the time axis, at most TICKS."""
    span = float(edges[-1] - edges[0])
    steps = [scale * unit for scale in 10.0 ** np.arange(-3, 4) for unit in (1, 2, 5)]
    step = next((step for step in steps if span / step < TICKS), span)
    seconds = np.arange(np.ceil(edges[0] / step) * step, edges[-1] + step * 1e-6, step)
    shares = 100 * (seconds - edges[0]) / span
    return [{"left": round(float(at), 3), "text": f"{second:g} s"}
            for at, second in zip(shares, np.round(seconds, 6), strict=True)]  # fmt: skip
