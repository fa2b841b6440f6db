"""Figure of examples: a few frames of each selected video, overlaid with the maps of methods and a control."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from attrib import video
from attrib.benchmarks.export.examples import Example, choice, examples, shown_methods, told
from attrib.benchmarks.export.figures.captions import Missing
from attrib.benchmarks.export.figures.style import DOUBLE, FAINT, HIGHEST
from attrib.benchmarks.export.numbers import Numbers
from attrib.errors import InputError
from attrib.render.options import Image, RenderOptions, View, blend, boxes
from attrib.render.text import abbreviated
from attrib.types import Clip, Question, SaliencyVolume, Sample

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

FRAMES, ACROSS = 5, 2
NAME, GAP, BETWEEN, LINE = 0.1, 0.03, 0.16, 0.125  # inches: a method's name, between frames and blocks, a line of text
LINES = 3  # of the text above a block
LETTERS = {1: 106, 2: 66}  # of its question, by blocks across
PIXELS = 192  # a frame's greater side: 300 dots an inch
STRANGE = "#B34700"


@dataclass(frozen=True, eq=False)
class Block:
    """One example: heading, times of its frames, and for each method the overlaid frames."""

    text: str
    times: tuple[float, ...]
    rows: dict[str, list[Image]]
    drawing: RenderOptions

    @property
    def shape(self) -> float:
        """Height of a frame divided by its width."""
        height, width = next(iter(self.rows.values()))[0].shape[:2]
        return float(height / width)


@dataclass(frozen=True, eq=False)
class Strip:
    """Blocks that fit on a page, caption, and warnings about examples that could not be drawn."""

    blocks: tuple[Block, ...]
    caption: str
    warnings: tuple[str, ...]


def strip(numbers: Numbers, most: int | None = None) -> Strip | Missing:
    """Median example of each task and one exception, at most `most` and one page; or the reason why there is none."""
    by = choice(numbers)
    if by is None:
        return Missing("examples", "no method has a value by which examples can be selected")
    blocks: list[Block] = []
    warnings: list[str] = []
    wanted = examples(numbers, ("median", "exception"))
    letters = LETTERS[min(ACROSS, len(wanted), most or ACROSS)]
    for example in [*wanted[-1:], *wanted[:-1]] if wanted[-1].why == "exception" else wanted:
        try:
            block = _block(numbers, example, letters)
        except InputError as error:
            warnings.append(f"{example.sample}: {error}")
            continue
        if len(blocks) >= (most or 10**6) or _height([*blocks, block]) > HIGHEST:
            break
        blocks.append(block)
    if not blocks:
        return Missing("examples", "; ".join(warnings[:1]) or "no sample has a value")
    strange = wanted[-1].why == "exception"
    if strange:
        blocks = [*blocks[1:], blocks[0]]  # prepared first, so that it has room; shown last
    caption = _caption(numbers, (len(blocks), len(wanted)), strange)
    return Strip(tuple(blocks), caption, tuple(warnings))


def _caption(numbers: Numbers, counts: tuple[int, int], strange: bool) -> str:
    by = choice(numbers)
    assert by is not None  # there are blocks
    some = f" {counts[0]} of {counts[1]} such examples fit here." if counts[0] < counts[1] else ""
    odd = ", and one exception, the worst of all other questions" if strange else ""
    return (
        f"Selected by rule: for each task, the question with the median {by.column.title} of {by.method}, the method "
        f"with the best mean{odd}.{some} {FRAMES} evenly spaced frames. "
        "Brighter is more salient, scaled over the whole video for each map, not per frame. Green boxes: "
        "annotated evidence; thin boxes: other annotated objects."
    )


def _block(numbers: Numbers, example: Example, letters: int) -> Block:
    """Block of an example. Raises InputError if sample, video or maps are missing or do not match."""
    sample = numbers.run.samples.get(example.sample)
    if sample is None:
        raise InputError(f"{example.sample} is no longer in the data set")
    found = {method: numbers.run.volume(sample, method) for method in shown_methods(numbers)}
    volumes = {method: volume for method, volume in found.items() if volume is not None}
    if not volumes:
        raise InputError(f"{example.sample}: the run has no maps of this sample")
    clip = clip_of(numbers, sample, len(next(iter(volumes.values())).times))
    rows = numbers.run.results[numbers.run.results["sample"] == example.sample]
    answers = rows["answer"].dropna()
    answer = str(answers.iloc[0]) if len(answers) else None
    text = heading(sample.question, answer, _why(numbers, example), letters)
    return block(text, clip, volumes, sample)


def block(text: str, clip: Clip, volumes: Mapping[str, SaliencyVolume], sample: Sample) -> Block:
    """Evenly spaced frames with each map over them. Raises InputError for a map of other frames."""
    drawing = RenderOptions(tracks=sample.tracks, evidence=sample.evidence)
    at = np.unique(np.linspace(0, len(clip) - 1, FRAMES).round().astype(int))
    rows = {}
    for method, volume in volumes.items():
        if len(volume.times) != len(clip) or not np.allclose(clip.times, volume.times, atol=1e-3):
            raise InputError(f"{sample.id}: the map of {method} was computed for other frames than the video has now")
        view = View.of(volume, drawing)
        rows[method] = [blend(_sized(clip.frames[place]), view.values[place], drawing) for place in at]
    return Block(text, tuple(clip.times[at].tolist()), rows, drawing)


def heading(question: Question, answer: str | None, why: str, letters: int = LETTERS[2]) -> str:
    """Three lines: the question, the model's answer with a verdict, and the reason of the selection."""
    texts = [abbreviated(text, letters // 2 - 9) for text in question.options]
    options = dict(zip(question.letters, texts, strict=True))
    answered = f"“{options.get(answer, answer)}”" if answer else "unknown"
    verdict = ""
    if question.answer is not None and answer:
        right = question.letters[question.answer] == answer
        verdict = " (right)" if right else f" (wrong; right: “{texts[question.answer]}”)"
    return f"{abbreviated(question.text, letters)}\nAnswer {answered}{verdict}\n{why}"


def _why(numbers: Numbers, example: Example) -> str:
    by = choice(numbers)
    assert by is not None  # it chose the example
    return told(example, by)


def clip_of(numbers: Numbers, sample: Sample, frames: int) -> Clip:
    """Clip of the sample with the frames that the run used. Raises VideoError if it cannot be read."""
    return video.read(sample.video, frames=frames, sampling=numbers.run.settings.model.sampling)


def _sized(frame: Image) -> Image:
    import cv2

    scale = PIXELS / max(frame.shape[:2])
    size = (max(round(frame.shape[1] * scale), 1), max(round(frame.shape[0] * scale), 1))
    shown = cv2.resize(frame, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    return np.asarray(shown, dtype=np.uint8)


def _width(across: int) -> float:
    """Width of a frame, in inches."""
    block = (DOUBLE - BETWEEN * (across - 1)) / across
    return (block - GAP * (FRAMES - 1)) / FRAMES


def _row(block: Block, across: int) -> float:
    """Height of one method's row of frames with its name, in inches."""
    return NAME + _width(across) * block.shape + GAP


def _block_height(block: Block, across: int) -> float:
    return LINE * LINES + NAME + len(block.rows) * _row(block, across) + BETWEEN


def _bands(blocks: Sequence[Block]) -> Iterator[tuple[float, Sequence[Block]]]:
    """Yield (height, blocks) of each row of the figure; a single block fills the width."""
    across = min(ACROSS, len(blocks))
    for at in range(0, len(blocks), across):
        part = blocks[at : at + across]
        yield max(_block_height(block, across) for block in part), part


def _height(blocks: Sequence[Block]) -> float:
    return sum(height for height, _ in _bands(blocks))


def draw(blocks: Sequence[Block]) -> Figure:
    """Draw the blocks, two to a row."""
    across = min(ACROSS, len(blocks))
    figure = Figure(figsize=(DOUBLE, _height(blocks)))
    FigureCanvasAgg(figure)
    top = 0.0
    for height, part in _bands(blocks):
        for place, block in enumerate(part):
            _Placed(figure, block, place * (DOUBLE + BETWEEN) / across, top, across).draw()
        top += height
    return figure


@dataclass(frozen=True, eq=False)
class _Placed:
    """A block and its top left corner, in inches."""

    figure: Any
    block: Block
    left: float
    top: float
    across: int

    def draw(self) -> None:
        self._head()
        begin = self.top + LINE * LINES + NAME
        for row, (method, pictures) in enumerate(self.block.rows.items()):
            y = begin + row * _row(self.block, self.across) + NAME
            self._text(self.left, y - 0.02, method, size=5.5)
            for column, picture in enumerate(pictures):
                self._frame(picture, (column, y), row == 0)

    def _text(self, x: float, y: float, text: str, **style: Any) -> None:
        """Write text whose baseline starts (x, y) inches from the top left corner."""
        width, height = self.figure.get_size_inches()
        self.figure.text(x / width, 1 - y / height, text, va="baseline", **style)

    def _head(self) -> None:
        for place, line in enumerate(self.block.text.split("\n")):
            colour = "black" if place == 0 else STRANGE if line.startswith("exception") else FAINT
            size, weight = (6.5, "bold") if place == 0 else (6, "normal")
            self._text(self.left, self.top + LINE * (place + 0.75), line, size=size, weight=weight, color=colour)

    def _frame(self, picture: Image, at: tuple[int, float], first: bool) -> None:
        width, height = self.figure.get_size_inches()
        column, y = at
        wide = _width(self.across)
        x = self.left + column * (wide + GAP)
        axis = self.figure.add_axes((x / width, 1 - (y + wide * self.block.shape) / height, wide / width,
                                     wide * self.block.shape / height))  # fmt: skip
        axis.imshow(picture, aspect="auto", extent=(0, 1, 1, 0), interpolation="nearest")
        axis.set_axis_off()
        time = self.block.times[column]
        for box in boxes(self.block.drawing, time):
            x1, y1, x2, y2 = box.corners
            colour = tuple(channel / 255 for channel in box.colour)
            axis.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, edgecolor=colour,
                                     linewidth=1.2 if box.strong else 0.4))  # fmt: skip
        if first:
            self._text(x + wide, y - NAME - 0.02, f"{time:.1f} s", size=5.5, color=FAINT, ha="right")
