"""Train the built-in model: `python -m attrib.demo.train WORK [--stage NAME] [--out DIR]`.

`tower` teaches the vision tower and projector to write fixed attribute codes into every visual token. `words` teaches
the language model, without any video, to find a word among the options and give its letter; `decoder` then teaches it
to answer questions from the codes, and `focus` dwells on the families that are learnt late. The tower needs none of
these, so it trains beside them in a process of its own. `joint` puts both together on rendered videos. Each stage is
seeded, computes with one thread, so that the sums are always the same, saves its state and resumes.
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
from attrib.demo.training.prompts import LETTERS, NOTHING_TELLS, Packer, echo, tokenizer
from attrib.demo.training.settings import Settings, Stage
from attrib.demo.training.state import State
from attrib.models import perception_lm_init
from attrib.runtime.files import write_text

STAGES = ("tower", "words", "decoder", "focus", "joint")
REPORT_EVERY, SAVE_EVERY = 50, 100


class Trainer:
    """Model, codes and data that the stages share; state files lie in `work`."""

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
        """The random numbers of one step, so that a resumed run draws what an unbroken one would."""
        return np.random.default_rng([self.settings.seed, STAGES.index(stage), step])

    # losses of one step: what to minimise, and what to tell
    def tower(self, step: int, stage: Stage) -> tuple[Tensor, dict[str, float]]:
        """Dense labels of single frames of many videos."""
        rng = self.rng("tower", step)
        frames = data.rendered(self.settings, self.work)
        videos, at = rng.integers(0, len(frames), stage.batch), rng.integers(0, labels.READ, stage.batch)
        grid = self.settings.shape.grid
        shown = zip(map(data.shown, videos.tolist()), at.tolist(), strict=True)
        wanted = torch.from_numpy(np.stack([data.cells(v, grid, (labels.READ_FRAMES[i],)) for v, i in shown]))
        tokens = network.visual_tokens(self.model, data.pixels(frames[videos, at][:, None], rng))
        told = network.dense_accuracy(tokens, wanted, self.codes) if step % REPORT_EVERY == 0 else {}
        return network.dense_loss(tokens, wanted, self.codes), told

    def words(self, step: int, stage: Stage) -> tuple[Tensor, dict[str, float]]:
        """Echo questions without a video. Alone they are learnt in minutes, amid others not in half an hour."""
        rng = self.rng("words", step)
        asked = [[echo(rng) for _ in range(2)] for _ in range(stage.batch)]
        ids, ends, answers = (torch.from_numpy(np.stack(x)) for x in zip(*map(self.packer.blocks, asked), strict=True))
        nothing = torch.zeros(stage.batch, 0, dtype=torch.int64)
        tokens = torch.zeros(stage.batch, 0, self.settings.shape.width)
        logits = network.answer_logits(self.model, self.packer, tokens, nothing, (ids, ends))
        right = (logits.argmax(-1) == answers).float().mean()
        return functional.cross_entropy(logits.flatten(0, 1), answers.flatten()), {"echo": float(right)}

    def decoder(self, step: int, stage: Stage) -> tuple[Tensor, dict[str, float]]:
        """Questions about scenes that are never drawn: the tokens are noisy codes."""
        rng = self.rng("decoder", step)
        videos = [data.shown(i) for i in data.draw(rng, stage.batch, stage.events, 10**9, stage.blind)]
        made = data.batch(videos, self.packer, rng, stage.kept[step % len(stage.kept)], stage.asked(step))
        present = made.shown(made.cells).float()
        spread = torch.from_numpy(rng.standard_normal(present.shape, np.float32)) * float(rng.uniform(0, 0.2))
        tokens = (present + spread) @ self.codes
        other = torch.from_numpy(rng.standard_normal(tokens.shape, np.float32)) * float(rng.uniform(0, 0.1))
        return self._answer(tokens + other, made)

    def focus(self, step: int, stage: Stage) -> tuple[Tensor, dict[str, float]]:
        """The same with more of what is learnt late, and with more of the empty table."""
        return self.decoder(self.settings.decoder.steps + step, stage)

    def joint(self, step: int, stage: Stage) -> tuple[Tensor, dict[str, float]]:
        """Questions about rendered videos; the tower stays as it is, so that the decoder has a fixed aim."""
        with torch.no_grad():
            rng, frames = self.rng("joint", step), data.rendered(self.settings, self.work)
            chosen = data.draw(rng, stage.batch, stage.events, len(frames), stage.blind)
            videos, kept = [data.shown(i) for i in chosen], stage.kept[step % len(stage.kept)]
            made = data.batch(videos, self.packer, rng, kept, stage.asked(step))
            tokens = network.visual_tokens(self.model, data.pixels(np.stack([frames[i] for i in chosen]), rng))
        return self._answer(made.shown(tokens), made)

    def _answer(self, tokens: Tensor, made: data.Batch) -> tuple[Tensor, dict[str, float]]:
        logits = network.answer_logits(self.model, self.packer, tokens, made.kept, made.asked)
        right = defaultdict(list)
        for row, names in enumerate(made.families):
            for k, name in enumerate(names):
                if made.answers[row, k] != NOTHING_TELLS:
                    kind = "" if made.letters[row, k] else "?"
                    right[name + kind].append(bool(logits[row, k].argmax() == made.answers[row, k]))
        loss = network.answer_loss(logits, made.answers, [self.packer.word(letter) for letter in LETTERS])
        return loss, {name: float(np.mean(hits)) for name, hits in sorted(right.items())}

    def parameters(self, stage: str) -> dict[str, torch.nn.Parameter]:
        """Parameters that a stage trains, by name."""
        seeing = ("model.vision_tower", "model.multi_modal_projector")
        named = self.model.named_parameters()
        return {name: p for name, p in named if name.startswith(seeing) == (stage == "tower")}

    def run(self, name: str, save: Callable[[], None] = lambda: None, until: int | None = None) -> None:
        """Train one stage to its end (or to step `until`), from its last saved state if there is one.

        `save` is called now and then, while the model holds the averaged weights; it holds them at the end too.
        """
        stage: Stage = getattr(self.settings, name)
        state = State(self.work / name, self.parameters(name), stage)
        told: dict[str, list[float]] = defaultdict(list)
        began, first = time.monotonic(), state.step
        last = stage.steps if until is None else until
        while state.step < last:
            loss, news = getattr(self, name)(state.step, stage)
            state.update(loss)
            for key, value in {"loss": loss.item(), **news}.items():
                told[key].append(value)
            if state.step % REPORT_EVERY == 0:
                rate = (time.monotonic() - began) / (state.step - first)
                self._report(name, state, told, rate)
                told.clear()
            if state.step % SAVE_EVERY == 0 or state.step == last:
                state.save()
                with state.averaged():
                    save()
        if until is None:
            state.load_averaged()

    def _report(self, name: str, state: State, told: dict[str, list[float]], rate: float) -> None:
        means = {key: round(float(np.mean(values)), 3) for key, values in told.items()}
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
    """One part of the training or, with "all", the tower in a process of its own beside the rest, then both together.

    Raises CalledProcessError when that process fails.
    """
    trainer = Trainer(Settings(), work)
    tower = [sys.executable, "-m", "attrib.demo.train", str(work), "--stage", "tower"]
    with subprocess.Popen(tower) if stage == "all" else nullcontext() as beside:  # noqa: S603 - our own module
        for name in ("tower",) if stage == "tower" else ("words", "decoder", "focus"):
            trainer.run(name)
    if beside is not None:
        if beside.returncode:
            raise subprocess.CalledProcessError(beside.returncode, tower)
        trainer.run("tower")  # loads what it has learnt
        trainer.run("joint", lambda: trainer.export(out))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path, help="directory for rendered frames, states and the log")
    parser.add_argument("--stage", choices=("all", "tower", "decoder"), default="all")
    parser.add_argument("--out", type=Path, default=CHECKPOINT, help="where the checkpoint goes")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    arguments.work.mkdir(parents=True, exist_ok=True)
    try:
        train(arguments.work, arguments.stage, arguments.out)
    except KeyboardInterrupt:
        parser.exit(130, "stopped; the same command goes on from the last saved state\n")
    except subprocess.CalledProcessError:
        parser.exit(1, "the tower's training failed\n")


if __name__ == "__main__":
    main()
