"""Speed and memory beside what people use: `python -m tools.speed [PART ...] [--json]`.

Parts, all by default: `attention` (attention methods against stored attention maps, on a random-weight PerceptionLM of
the 1B shape), `gradients` (integrated gradients against Captum's, on the built-in model). Each figure stands beside
its rival's from the same run.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, get_args

import torch
from rich.console import Console

from attrib.inputs.space import Baseline
from attrib.models.perception_lm_init import LARGE_1B
from tools.speed import attention as attention_speed
from tools.speed import gradients as gradient_speed

PARTS = ("attention", "gradients")


def attention(frames: Sequence[int], methods: Sequence[str], console: Console) -> list[dict[str, Any]]:
    """The attention methods, printed."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # a pool of threads would not survive the fork: a child that needs it waits for ever
    found = attention_speed.measure_all(attention_speed.model_of(LARGE_1B), frames, methods, threads)
    torch.set_num_threads(threads)
    console.print(attention_speed.table(found))
    for method in methods if len(set(frames)) > 1 else ():
        own = [item for item in found if item.method == method and not item.stored]
        console.print(f"{method}: memory grows with frames to the power {attention_speed.exponent(own):.2f}")
    return [asdict(item) for item in found]


def gradients(baselines: Sequence[Baseline], videos: int, console: Console) -> list[dict[str, Any]]:
    """Integrated gradients, printed."""
    found = gradient_speed.measure_all(baselines, videos)
    console.print(gradient_speed.table(found))
    return [asdict(item) for item in found]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; default: all")
    parser.add_argument("--json", action="store_true", help="print only JSON")
    parser.add_argument("--frames", type=int, nargs="+", default=list(attention_speed.FRAMES))
    methods = attention_speed.METHODS
    parser.add_argument("--methods", nargs="+", choices=methods, default=list(methods))
    parser.add_argument("--videos", type=int, default=24, help="of the built-in set, for the gradients")
    parser.add_argument("--baselines", nargs="+", choices=get_args(Baseline)[:4], default=["blur"])
    given = parser.parse_args()
    unknown = set(given.parts) - set(PARTS)
    if unknown:
        parser.error(f"unknown part {sorted(unknown)[0]!r}; choose from {', '.join(PARTS)}")
    console = Console(quiet=given.json)
    parts, found = given.parts or PARTS, {}
    if "attention" in parts:
        found["attention"] = attention(given.frames, given.methods, console)
    if "gradients" in parts:
        found["gradients"] = gradients(given.baselines, given.videos, console)
    if given.json:
        print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
