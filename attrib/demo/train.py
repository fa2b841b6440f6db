"""Training of the built-in model: `python -m attrib.demo.train WORK [--stage NAME] [--out DIR]`.

`tower` trains the vision tower and projector to write fixed attribute codes into every visual token. `words` trains
the language model, without any video, to find a word among the options and return its letter; `decoder` then trains it
to answer questions from the codes, and `focus` adds more of the families that are learnt late. The tower is independent
of these and trains at the same time in a process of its own. `joint` combines both on rendered videos. Each stage is
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
from torch import Tensor
from torch.nn import functional

from attrib.demo import CHECKPOINT
from attrib.demo.training import data, labels, network
from attrib.demo.training.prompts import LETTERS, UNKNOWABLE, Packer, echo, tokenizer
from attrib.demo.training.settings import Settings, StageSettings
from attrib.demo.training.state import State
from attrib.models import perception_lm_init
from attrib.runtime.files import write_text

STAGES = ("tower", "words", "decoder", "focus", "joint")
REPORT_EVERY, SAVE_EVERY = 50, 100


class Trainer:
    """Model, codes and data that the stages share; state files are in `work`."""

    def __init__(self, settings: Settings, work: Path) -> None:
        self.settings, self.work = settings, work
        words = tokenizer()
        self.processor = perception_lm_init.processor(settings.shape, words)
        self.model = perception_lm_init.build(settings.shape, words, settings.seed).train()
        self.visual = labels.READ * settings.shape.grid**2
        self.packer = Packer(self.processor, self.visual)
        self.codes = labels.codes(settings.shape.width, settings.code_length, settings.seed)
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(settings.seed)
            self.model.get_input_embeddings().weight.normal_(std=0.5)

    def rng(self, stage: str, step: int) -> np.random.Generator:
        """Return the generator of one step, so that a resumed run draws the same numbers as an uninterrupted one."""
        return np.random.default_rng([self.settings.seed, STAGES.index(stage), step])

    # each stage returns the loss of one step and the values to log
    def tower(self, step: int, stage: StageSettings) -> tuple[Tensor, dict[str, float]]:
        """Loss on the dense labels of single frames of many videos."""
        rng = self.rng("tower", step)
        frames = data.rendered(self.settings, self.work)
        videos, at = rng.integers(0, len(frames), stage.batch), rng.integers(0, labels.READ, stage.batch)
        grid = self.settings.shape.grid
        pairs = zip(map(data.training_video, videos.tolist()), at.tolist(), strict=True)
        wanted = torch.from_numpy(np.stack([data.cells(v, grid, (labels.READ_FRAMES[i],)) for v, i in pairs]))
        tokens = network.visual_tokens(self.model, data.pixels(frames[videos, at][:, None], rng))
        accuracy = network.dense_accuracy(tokens, wanted, self.codes) if step % REPORT_EVERY == 0 else {}
        return network.dense_loss(tokens, wanted, self.codes), accuracy

    def words(self, step: int, stage: StageSettings) -> tuple[Tensor, dict[str, float]]:
        """Loss on echo questions without a video: learnt in minutes alone, but not in half an hour among others."""
        rng = self.rng("words", step)
        questions = [[echo(rng) for _ in range(2)] for _ in range(stage.batch)]
        blocks = zip(*map(self.packer.blocks, questions), strict=True)
        ids, ends, answers = (torch.from_numpy(np.stack(arrays)) for arrays in blocks)
        nothing = torch.zeros(stage.batch, 0, dtype=torch.int64)
        tokens = torch.zeros(stage.batch, 0, self.settings.shape.width)
        logits = network.answer_logits(self.model, self.packer, tokens, nothing, (ids, ends))
        right = (logits.argmax(-1) == answers).float().mean()
        return functional.cross_entropy(logits.flatten(0, 1), answers.flatten()), {"echo": float(right)}

    def decoder(self, step: int, stage: StageSettings) -> tuple[Tensor, dict[str, float]]:
        """Loss on questions about scenes that are not rendered: their tokens are noisy codes."""
        rng = self.rng("decoder", step)
        videos = [data.training_video(i) for i in data.draw(rng, stage.batch, stage.events, 10**9, stage.blind)]
        batch = data.batch(videos, self.packer, rng, stage.kept[step % len(stage.kept)], stage.mix_at(step))
        present = batch.select(batch.cells).float()
        spread = torch.from_numpy(rng.standard_normal(present.shape, np.float32)) * float(rng.uniform(0, 0.2))
        tokens = (present + spread) @ self.codes
        other = torch.from_numpy(rng.standard_normal(tokens.shape, np.float32)) * float(rng.uniform(0, 0.1))
        return self._answer(tokens + other, batch)

    def focus(self, step: int, stage: StageSettings) -> tuple[Tensor, dict[str, float]]:
        """Loss like `decoder`, with more of the families that are learnt late and more of the empty table."""
        return self.decoder(self.settings.decoder.steps + step, stage)

    def joint(self, step: int, stage: StageSettings) -> tuple[Tensor, dict[str, float]]:
        """Loss on questions about rendered videos; the tower is frozen, so that the decoder's input is stable."""
        with torch.no_grad():
            rng, frames = self.rng("joint", step), data.rendered(self.settings, self.work)
            chosen = data.draw(rng, stage.batch, stage.events, len(frames), stage.blind)
            videos, count = [data.training_video(i) for i in chosen], stage.kept[step % len(stage.kept)]
            batch = data.batch(videos, self.packer, rng, count, stage.mix_at(step))
            tokens = network.visual_tokens(self.model, data.pixels(np.stack([frames[i] for i in chosen]), rng))
        return self._answer(batch.select(tokens), batch)

    def _answer(self, tokens: Tensor, batch: data.Batch) -> tuple[Tensor, dict[str, float]]:
        logits = network.answer_logits(self.model, self.packer, tokens, batch.selected, batch.blocks)
        right = defaultdict(list)
        for row, names in enumerate(batch.families):
            for k, name in enumerate(names):
                if batch.answers[row, k] != UNKNOWABLE:
                    kind = "" if batch.letters[row, k] else "?"
                    right[name + kind].append(bool(logits[row, k].argmax() == batch.answers[row, k]))
        loss = network.answer_loss(logits, batch.answers, [self.packer.word(letter) for letter in LETTERS])
        return loss, {name: float(np.mean(hits)) for name, hits in sorted(right.items())}

    def parameters(self, stage: str) -> dict[str, torch.nn.Parameter]:
        """Parameters that a stage trains, by name."""
        vision = ("model.vision_tower", "model.multi_modal_projector")
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
            loss, measured = getattr(self, name)(state.step, stage)
            state.update(loss)
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
        perception_lm_init.save(out, self.model, self.processor)
        write_text(out / "training.json", json.dumps({"settings": asdict(self.settings)}, indent=1))
        write_text(out / "training_log.jsonl", (self.work / "log.jsonl").read_text(encoding="utf-8"))


def train(work: Path, stage: str, out: Path) -> None:
    """Train the tower or the decoder or, with "all", both at once (the tower in its own process), then the joint stage.

    Raises CalledProcessError if that process fails.
    """
    trainer = Trainer(Settings(), work)
    tower = [sys.executable, "-m", "attrib.demo.train", str(work), "--stage", "tower"]
    with subprocess.Popen(tower) if stage == "all" else nullcontext() as tower_process:  # noqa: S603 - our own module
        for name in ("tower",) if stage == "tower" else ("words", "decoder", "focus"):
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
    parser.add_argument("--out", type=Path, default=CHECKPOINT, help="folder of the checkpoint")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    arguments.work.mkdir(parents=True, exist_ok=True)
    try:
        train(arguments.work, arguments.stage, arguments.out)
    except KeyboardInterrupt:
        parser.exit(130, "stopped; repeat the command to resume from the last saved state\n")
    except subprocess.CalledProcessError:
        parser.exit(1, "the tower's training failed\n")


if __name__ == "__main__":
    main()
