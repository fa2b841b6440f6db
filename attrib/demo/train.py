"""Training of the built-in models: `python -m attrib.demo.train WORK [--model NAME] [--stage NAME] [--out DIR]`.

`tower` trains the vision tower and projector to write fixed attribute codes into every visual token. `cups` trains the
language model to find, from the codes, the mat under the cup of a colour; `decoder` then trains it to answer all
questions: at first without options and about scenes with nothing but what the answer needs, and all along more often of
kinds that it answers wrongly. The tower is independent of these and trains at the same time in a process of its own.
`joint` combines both on rendered videos. Each stage is
seeded, uses one thread for reproducible sums, saves its state and can be resumed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from attrib.demo import CHECKPOINTS
from attrib.demo.training import data, labels, network, qwen
from attrib.demo.training.network import PackedNetwork
from attrib.demo.training.prompts import INSTRUCTION, LETTERS, UNKNOWABLE, echo, vocabulary
from attrib.demo.training.settings import Mix, Settings, StageSettings, settings
from attrib.demo.training.state import State
from attrib.demo.world.scene import EVENTS, FRAMES
from attrib.models import perception_lm_init
from attrib.models.families.perception_lm import PerceptionLM
from attrib.models.families.qwen_vl import Qwen3VL
from attrib.models.family import ModelFamily
from attrib.models.perception_lm_init import SYSTEM_PROMPT
from attrib.runtime.files import write_text

STAGES = ("tower", "cups", "decoder", "joint")
REPORT_EVERY, SAVE_EVERY = 50, 100
OTHERS = 3  # one step of the stage `cups` in so many is about something else
KNOWN = 0.3  # weight of a kind of question below which it counts as known


class Trainer:
    """Model, codes and data that the stages share; state files are in `work`."""

    def __init__(self, settings: Settings, work: Path) -> None:
        self.settings, self.work = settings, work
        self.network = _network(settings)
        self.model = self.network.model
        self.codes = labels.codes(self.network.width, settings.code_length, settings.seed)
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(settings.seed)
            self.model.get_input_embeddings().weight.normal_(std=0.5)

    def rng(self, stage: str, step: int) -> np.random.Generator:
        """Return the generator of one step, so that a resumed run draws the same numbers as an uninterrupted one."""
        return np.random.default_rng([self.settings.seed, STAGES.index(stage), step])

    # each stage returns the loss of one step and the values to log
    def tower(self, step: int, stage: StageSettings, harder: data.Weights) -> tuple[Tensor, dict[str, float]]:
        """Loss on the dense labels of single frames of many videos, up to half of them with a slide or a hit."""
        rng = self.rng("tower", step)
        drawn = rng.integers(0, (self.settings.scenes, labels.READ), (4 * stage.batch, 2)).tolist()
        busy = [pair for pair in drawn if data.training_video(pair[0]).busy(labels.READ_FRAMES[pair[1]])]
        videos, at = np.array([*busy[: stage.batch // 2], *drawn][: stage.batch]).T
        grid = self.settings.shape.grid
        pairs = zip(map(data.training_video, videos.tolist()), at.tolist(), strict=True)
        wanted = torch.from_numpy(np.stack([data.cells(v, grid, (labels.READ_FRAMES[i],)) for v, i in pairs]))
        tokens = self.network.visual_tokens(data.pixels(self._steps(videos, at), rng))
        accuracy = network.dense_accuracy(tokens, wanted, self.codes) if step % REPORT_EVERY == 0 else {}
        return network.dense_loss(tokens, wanted, self.codes), accuracy

    def _steps(self, videos: NDArray[np.int64], at: NDArray[np.int64] | slice) -> NDArray[np.uint8]:
        """Frames (b, t, size, size, 3) of one step of each video, or of all steps."""
        drawn = [data.rendered(self.settings, self.work, frames) for frames in _files(self.network.frames)]
        parts = np.stack([each[videos, at] for each in drawn], axis=-4)  # frames of a step side by side
        return parts.reshape(len(videos), -1, *parts.shape[-3:])

    def cups(self, step: int, stage: StageSettings, harder: data.Weights) -> tuple[Tensor, dict[str, float]]:
        """Loss on the mat under the cup of a colour, first at rest, then with swaps, then with the ball.

        Learnt in minutes alone, but not in half an hour among other questions. One step in OTHERS shows scenes of other
        events with nothing but what an answer needs, since a network that knows cups alone is slow to learn shapes.
        """
        rng, mix = self.rng("cups", step), Mix(stage.questions, "open")
        if step % OTHERS == 0:
            chosen = data.draw(rng, stage.batch, tuple(e for e in EVENTS if e != "hide"), 10**9)
            videos = [data.thinned(data.training_video(i), 0, rng) for i in chosen]
            return self._codes(rng, data.batch(videos, self.network, rng, 0, mix, harder, plain=0))
        change, ball = bool(rng.random() < stage.plain(step)), step >= stage.sparse[1]
        chosen = data.draw(rng, stage.batch, ("hide",), 10**9)
        videos = [data.cup_game(data.training_video(i).scene, change, ball) for i in chosen]
        return self._codes(rng, data.batch(videos, self.network, rng, stage.kept[0], mix, harder))

    def decoder(self, step: int, stage: StageSettings, harder: data.Weights) -> tuple[Tensor, dict[str, float]]:
        """Loss on questions about scenes that are not rendered: their tokens are noisy codes."""
        rng = self.rng("decoder", step)
        mix = stage.mix(step, rng, harder.get("echo", 1.0) < KNOWN)
        if mix.kind == "echo":
            return self._echo(rng, stage)
        _, batch = self._batch(rng, step, stage, 10**9, mix, harder)
        return self._codes(rng, batch)

    def _codes(self, rng: np.random.Generator, batch: data.Batch) -> tuple[Tensor, dict[str, float]]:
        """Loss on questions about noisy codes in place of the tower's tokens."""
        present = batch.select(batch.cells).float()
        spread = torch.from_numpy(rng.standard_normal(present.shape, np.float32)) * float(rng.uniform(0, 0.2))
        tokens = (present + spread) @ self.codes
        early = [network.late_codes(present + spread, self.codes)] * self.network.family.late_features
        tokens = torch.cat([tokens, *early], -1)
        other = torch.from_numpy(rng.standard_normal(tokens.shape, np.float32)) * float(rng.uniform(0, 0.1))
        return self._answer(tokens + other, batch)

    def _echo(self, rng: np.random.Generator, stage: StageSettings) -> tuple[Tensor, dict[str, float]]:
        """Loss on questions for the letter of a word, without a video."""
        ids, ends, answers = self.network.blocks(
            [[echo(rng) for _ in range(stage.questions)] for _ in range(stage.batch)]
        )
        late = 1 + self.network.family.late_features
        none = torch.zeros(stage.batch, 0, late * self.network.width), torch.zeros(stage.batch, 0, dtype=torch.int64)
        logits = self.network.answer_logits(*none, (ids, ends))
        right = (logits.argmax(-1) == answers).float().mean()
        return functional.cross_entropy(logits.flatten(0, 1), answers.flatten()), {"echo": float(right)}

    def joint(self, step: int, stage: StageSettings, harder: data.Weights) -> tuple[Tensor, dict[str, float]]:
        """Loss on questions about rendered videos; the tower is frozen, so that the decoder's input is stable."""
        rng = self.rng("joint", step)
        chosen, batch = self._batch(rng, step, stage, self.settings.scenes, stage.mix(step, rng), harder)
        with torch.no_grad():
            tokens = self.network.visual_tokens(data.pixels(self._steps(np.array(chosen), slice(None)), rng))
        return self._answer(batch.select(tokens), batch)

    def _batch(
        self, rng: np.random.Generator, step: int, stage: StageSettings, limit: int, mix: Mix, harder: data.Weights
    ) -> tuple[list[int], data.Batch]:
        """Return the numbers of random training videos, below `limit`, and their tokens and questions."""
        count = stage.kept[step % len(stage.kept)]
        chosen = data.draw(rng, stage.batch, stage.events, limit, stage.blind if mix.kind == "options" else 0.0)
        plain = stage.plain(step, mix.kind == "options")
        videos = [data.thinned(data.training_video(i), plain, rng) for i in chosen]
        return chosen, data.batch(videos, self.network, rng, count, mix, harder, plain)

    def _answer(self, tokens: Tensor, batch: data.Batch) -> tuple[Tensor, dict[str, float]]:
        logits = self.network.answer_logits(tokens, batch.selected, batch.blocks)
        right = defaultdict(list)
        for row, names in enumerate(batch.names):
            for k, name in enumerate(names):
                if batch.answers[row, k] != UNKNOWABLE:
                    right[name].append(bool(logits[row, k].argmax() == batch.answers[row, k]))
        letters = [self.network.word(letter) for letter in LETTERS]
        loss = network.answer_loss(logits, batch.answers, batch.choices, letters)
        return loss, {name: float(np.mean(hits)) for name, hits in sorted(right.items())}

    def parameters(self, stage: str) -> dict[str, torch.nn.Parameter]:
        """Parameters that a stage trains, by name."""
        vision = ("model.vision_tower", "model.multi_modal_projector", "model.visual")
        named = self.model.named_parameters()
        return {name: p for name, p in named if name.startswith(vision) == (stage == "tower")}

    def run(self, name: str, save: Callable[[], None] = lambda: None, until: int | None = None) -> None:
        """Train one stage to its end (or to step `until`), from its last saved state if there is one.

        `save` is called every SAVE_EVERY steps, with the averaged weights in the model; they remain there at the end.
        """
        stage: StageSettings = getattr(self.settings, name)
        state = State(self.work / name, self.parameters(name), stage)
        logged: dict[str, list[float]] = defaultdict(list)
        began, first = time.monotonic(), state.step
        last = stage.steps if until is None else until
        while state.step < last:
            loss, measured = getattr(self, name)(state.step, stage, state.harder())
            state.update(loss)
            if name != "tower":
                for kind, right in measured.items():
                    state.answered(kind, right)
            for key, value in {"loss": loss.item(), **measured}.items():
                logged[key].append(value)
            if state.step % REPORT_EVERY == 0:
                rate = (time.monotonic() - began) / (state.step - first)
                self._report(name, state, logged, rate)
                logged.clear()
            if state.step % SAVE_EVERY == 0 or state.step == last:
                state.save()
                with state.averaged():
                    save()
        if until is None:
            state.load_averaged()

    def _report(self, name: str, state: State, logged: dict[str, list[float]], rate: float) -> None:
        means = {key: round(float(np.mean(values)), 3) for key, values in logged.items()}
        line = {"stage": name, "step": state.step, "seconds_a_step": round(rate, 3), **means}
        left = rate * (state.stage.steps - state.step) / 60
        print(f"{json.dumps(line)} {left:.0f} min left", flush=True)
        with (self.work / "log.jsonl").open("a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")

    def export(self, out: Path) -> None:
        """Write the checkpoint with its settings and log."""
        perception_lm_init.save(out, self.model, self.network.family.processor)
        write_text(out / "training.json", json.dumps({"settings": asdict(self.settings)}, indent=1))
        write_text(out / "training_log.jsonl", (self.work / "log.jsonl").read_text(encoding="utf-8"))


def _network(settings: Settings) -> PackedNetwork:
    """Return the network with random weights."""
    shape, words, phrases = settings.shape, vocabulary(), (SYSTEM_PROMPT, INSTRUCTION)
    family: ModelFamily
    if settings.model == "demo":
        plain = perception_lm_init.word_tokenizer(words, phrases)
        model = perception_lm_init.build(shape, plain, settings.seed)
        family, frames = PerceptionLM(model, perception_lm_init.processor(shape, plain)), labels.READ_FRAMES
    else:
        timed = qwen.tokenizer(words, (INSTRUCTION,))
        family = Qwen3VL(qwen.build(shape, timed, settings.seed), qwen.processor(shape, timed))
        frames = tuple(range(FRAMES))
    family.network.train()
    return PackedNetwork(family, frames, shape.image_size)


def _files(frames: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Return even frames and, where these are read too, odd ones; each step has one of each."""
    parts = [tuple(f for f in frames if f % 2 == parity) for parity in (0, 1)]
    return [part for part in parts if part]


def train(model: str, work: Path, stage: str, out: Path) -> None:
    """Train the tower or the decoder or, with "all", both at once (the tower in its own process), then the joint stage.

    Raises CalledProcessError if that process fails.
    """
    trainer = Trainer(settings(model), work)
    tower = [sys.executable, "-m", "attrib.demo.train", str(work), "--model", model, "--stage", "tower"]
    with subprocess.Popen(tower) if stage == "all" else nullcontext() as tower_process:  # noqa: S603 - our own module
        for name in ("tower",) if stage == "tower" else ("cups", "decoder"):
            trainer.run(name)
    if tower_process is not None:
        if tower_process.returncode:
            raise subprocess.CalledProcessError(tower_process.returncode, tower)
        trainer.run("tower")  # loads the finished weights
        trainer.run("joint", lambda: trainer.export(out))


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path, help="directory for rendered frames, states and the log")
    parser.add_argument("--stage", choices=("all", "tower", "decoder"), default="all")
    parser.add_argument("--model", choices=tuple(CHECKPOINTS), default="demo", help="which of the built-in models")
    parser.add_argument("--out", type=Path, help="folder of the checkpoint; default: that of the built-in model")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    arguments.work.mkdir(parents=True, exist_ok=True)
    try:
        train(arguments.model, arguments.work, arguments.stage, arguments.out or CHECKPOINTS[arguments.model])
    except KeyboardInterrupt:
        parser.exit(130, "stopped; repeat the command to resume from the last saved state\n")
    except subprocess.CalledProcessError:
        parser.exit(1, "the tower's training failed\n")


if __name__ == "__main__":
    main()
