"""The toy world: a grey clip in which one cell turns red for one frame and another turns blue, with its annotation."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from attrib import video
from attrib.model import VideoModel
from attrib.subject import Subject
from attrib.testing.toy_model import CELL, COLUMNS, FRAMES, ROWS, ToyModel
from attrib.types import Clip, Counterfactual, Evidence, Provenance, Question, SaliencyVolume, Sample, Segment, Track

GREY = 102
RED, BLUE = (2, 1, 2), (1, 0, 0)  # (frame, row, column) of the evidence and of the distractor
QUESTION = Question("Is something red or green?", ("red", "green"), answer=0)


def toy_clip(frames: int = FRAMES) -> Clip:
    """Return grey frames at 2 per second, with a red cell at RED and a blue one at BLUE if the clip is long enough."""
    pixels = np.full((frames, ROWS * CELL, COLUMNS * CELL, 3), GREY, np.uint8)
    for (frame, row, column), colour in ((RED, (255, 51, 51)), (BLUE, (51, 51, 255))):
        if frame < frames:
            pixels[frame, row * CELL : (row + 1) * CELL, column * CELL : (column + 1) * CELL] = colour
    times = np.arange(frames) / 2.0
    return Clip(pixels, times, end=frames / 2.0)


def toy_sample() -> Sample:
    """Return the toy clip's question with the red cell as evidence, the blue cell as distractor and one action.

    While it is red, the red cell hides a ball.
    """
    tracks = (_track(1, "red cell", RED), _track(2, "blue cell", BLUE), _hidden(_track(3, "ball", RED), RED[0]))
    action = Segment("action", "turning red", 1.0, 1.5, parents=(1,))
    evidence = (Evidence(1, 1.0, 1.5),)
    return Sample("toy_0", Path("toy.mp4"), QUESTION, "toy", tracks, (action,), evidence)


def toy_peer() -> Sample:
    """Return a sample of another video; its evidence is the blue cell at all times, which acts in frame 1."""
    action = Segment("action", "turning blue", 0.25, 0.75, parents=(2,))
    return replace(toy_sample(), id="peer_0", video=Path("peer.mp4"), segments=(action,), evidence=(Evidence(2),))


def toy_counterfactuals(folder: Path) -> tuple[Counterfactual, ...]:
    """Write the toy clip's counterfactual videos to `folder`: red or blue cell grey, for one second or always.

    Each second is a bin of two frames, so there are four pairs of object and time.
    """
    bins = [(track, cell, second) for track, cell in ((1, RED), (2, BLUE)) for second in (0, 1)]
    partial = [
        Counterfactual(_without(folder / f"{track}_{second}.mp4", cell, second, second + 1), "part", track,
                       float(second), second + 1.0)
        for track, cell, second in bins
    ]  # fmt: skip
    removed, only = (_without(folder / f"{name}.mp4", cell, 0, 2) for name, cell in (("removed", RED), ("only", BLUE)))
    return (*partial, Counterfactual(removed, "removed"), Counterfactual(only, "only"))


def _without(path: Path, cell: tuple[int, int, int], start: float, end: float) -> Path:
    """Write the toy clip as a video with this cell grey during [start, end) seconds; return its path."""
    clip = toy_clip()
    frames = clip.frames.copy()
    absent = (clip.times >= start) & (clip.times < end)
    _, row, column = cell
    frames[absent, row * CELL : (row + 1) * CELL, column * CELL : (column + 1) * CELL] = GREY
    video.write(path, frames, clip.times, clip.end)
    return path


def _track(number: int, label: str, cell: tuple[int, int, int]) -> Track:
    _, row, column = cell
    box = [column / COLUMNS, row / ROWS, (column + 1) / COLUMNS, (row + 1) / ROWS]
    times = np.arange(FRAMES) / 2.0
    return Track(number, label, times, np.tile(box, (FRAMES, 1)), np.zeros(FRAMES, bool))


def _hidden(track: Track, frame: int) -> Track:
    """Return the track in one frame only, with its object fully hidden."""
    only = slice(frame, frame + 1)
    return replace(track, times=track.times[only], boxes=track.boxes[only], hidden=np.ones(1, bool))


def toy_subject(model: VideoModel | None = None, seed: int = 0) -> Subject:
    """Return the toy model bound to the toy clip, question, sample and peer."""
    return annotated(Subject.bind(model or ToyModel(), toy_clip(), QUESTION, seed=seed))


def toy_answer(text: str = "red, red") -> Subject:
    """Return the toy model bound to the toy clip and a free answer, sample and peer."""
    model = ToyModel()
    question = replace(QUESTION, options=(), answer=None, reply=model.reply(text))
    return annotated(Subject.bind(model, toy_clip(), question))


def annotated(subject: Subject) -> Subject:
    """Return the subject with the toy sample and its peer."""
    return replace(subject, sample=toy_sample(), peers=(toy_peer(),))


def toy_volume(values: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> SaliencyVolume:
    """Return values (FRAMES, h, w) as a volume of the toy clip that reports a score change of 1.5 nats, and errors."""
    reports = {"score_change": 1.5, "completeness_error": 0.0, "reference_error": 0.5}
    provenance = Provenance("toy", reports=reports)
    return SaliencyVolume(np.asarray(values, np.float32), toy_clip().times, provenance)
