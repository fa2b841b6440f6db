"""Progress without a terminal, as in the log of a CI or Slurm job: a line now and then, with the time left."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from attrib.runtime.progress import Progress

PERIOD = 30.0  # seconds between two lines
RECENT = 10  # lines over which the speed is measured


@dataclass
class Pace:
    """Place of the work and its recent speed; `clock` is in seconds."""

    clock: Callable[[], float] = time.monotonic
    what: str = "starting"
    done: int = 0
    total: int = 0
    marks: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=RECENT))  # time, items done by then

    def step(self, what: str, done: int, total: int) -> None:
        """Note the next item and how many of `total` are done; another total is other work, of another speed."""
        if total != self.total or done < self.done:
            self.marks.clear()
        self.what, self.done, self.total = what, done, total
        if not self.marks:
            self.marks.append((self.clock(), done))

    def line(self) -> str:
        """Return `8 of 40, about 3 min left: video_3  grad_cam`, and measure the speed from here."""
        now, done, total = self.clock(), self.done, self.total
        if not total:
            return self.what
        began, before = self.marks[0] if self.marks else (now, done)
        self.marks.append((now, done))
        seconds = (now - began) / (done - before) * (total - done) if done > before else None
        return (
            f"{done} of {total}, {'time left unknown' if seconds is None else f'{duration(seconds)} left'}: {self.what}"
        )


def duration(seconds: float | None) -> str:
    """Approximate duration in words, or `unknown`."""
    if seconds is None:
        return "unknown"
    return f"about {math.ceil(seconds)} s" if seconds < 100 else f"about {math.ceil(seconds / 60)} min"


@contextmanager
def lines(write: Callable[[str], None], period: float) -> Iterator[Progress]:
    """Hand a line to `write` every `period` seconds, also while one item takes longer, until the context ends."""
    pace, ended = Pace(), threading.Event()

    def report() -> None:
        while not ended.wait(period):
            write(pace.line())

    thread = threading.Thread(target=report, daemon=True)
    thread.start()
    try:
        yield pace.step
    finally:
        ended.set()
        thread.join()
