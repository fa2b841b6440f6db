"""Bad input is refused before the libraries that take seconds to import are loaded."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from attrib.video import write

HEAVY = {"torch", "transformers", "timm", "captum", "pandas", "scipy", "matplotlib"}
PROGRAM = f"""
import io, json, sys
from contextlib import redirect_stderr
from attrib.cli import main
found = {{}}
for name, arguments in json.load(sys.stdin).items():
    sys.argv, said, code = ["attrib", *arguments], io.StringIO(), 0
    sys.modules["attrib.commands.terminal.console"].notes.file = said
    try:
        main()
    except SystemExit as end:
        code = end.code
    found[name] = code, said.getvalue(), sorted({HEAVY!r} & set(sys.modules))
print(json.dumps(found))
"""
ASK = ["-q", "Why?", "--option", "a", "--option", "b", "-O", "out"]
BENCH = ["bench", "-O", "out", "--set"]
REFUSED = {  # arguments and the end of the message
    "explain a missing file": (["explain", "no.mp4", *ASK], "no.mp4: no such file"),
    "explain an empty file": (["explain", "empty.mp4", *ASK], "empty.mp4: the file is empty"),
    "explain by an unknown method": (["explain", "clip.mp4", *ASK, "--method", "lpr"], "did you mean 'lrp'?"),
    "explain by a label": (["explain", "clip.mp4", *ASK, "--set", "methods.mine.method=lpr"], "did you mean 'lrp'?"),
    "explain with a bad setting": (["explain", "clip.mp4", *ASK, "--set", "model.frames=x"], "got 'x'"),
    "explain an unknown model": (["explain", "clip.mp4", *ASK, "--model", "no"], "an id OWNER/NAME"),
    "explain without options": (["explain", "no.mp4", "-q", "Why?", "-O", "out", "--target", "option:1"], "--option"),
    "layers of a missing file": (["layers", "no.mp4", *ASK], "no.mp4: no such file"),
    "check an unknown model": (["check", "no"], "an id OWNER/NAME"),
    "check on a missing file": (["check", "demo", "--video", "no.mp4"], "no.mp4: no such file"),
    "check an unknown method": (["check", "demo", "--method", "lpr"], "did you mean 'lrp'?"),
    "bench without a file": (["bench", "no.yaml", "-O", "out"], "No such file or directory"),
    "bench an unknown method": ([*BENCH, "methods.lpr={}"], "did you mean 'lrp'?"),
    "bench an unknown metric": ([*BENCH, "metrics.mas={}"], "did you mean 'mass'?"),
    "bench an unknown imputer": ([*BENCH, "imputers=[blurr]"], "did you mean 'blur'?"),
    "bench an unknown data set": ([*BENCH, "data.name=dem"], "did you mean 'demo'?"),
    "bench with a bad setting": ([*BENCH, "seed=x", "--dry-run"], "got 'x'"),
    "bench an impossible shard": (["bench", "-O", "out", "--shard", "5/4"], "or auto, such as 4/4"),
    "bench no shard in sight": (["bench", "-O", "out", "--shard", "auto"], "give I/N"),
    "atlas without a file": (["atlas", "no.yaml", "-O", "out"], "No such file or directory"),
    "data without a folder": (["data", "check", "no"], "no such file or directory"),
    **{f"{command} without a run": ([command, "no"], "config.yaml: cannot be read: No such file or directory")
       for command in ("report", "view", "compare", "figures", "techreport", "notebook")},
}  # fmt: skip


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, str, list[str]]]:
    """Exit code, message and heavy modules after each of REFUSED, in one process and in this order."""
    folder: Path = tmp_path_factory.mktemp("startup")
    write(folder / "clip.mp4", np.zeros((2, 16, 16, 3), np.uint8), np.arange(2.0), 2.0)
    (folder / "empty.mp4").touch()
    given = json.dumps({name: arguments for name, (arguments, _) in REFUSED.items()})
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, input=given, capture_output=True, text=True, cwd=folder, check=True)
    assert {path.name for path in folder.iterdir()} == {"clip.mp4", "empty.mp4"}
    return dict(json.loads(done.stdout))


@pytest.mark.parametrize("name", REFUSED)
def test_bad_input_is_refused_at_once(outcomes: dict[str, tuple[int, str, list[str]]], name: str) -> None:
    code, message, loaded = outcomes[name]
    assert code == 2
    assert message.startswith("attrib: ") and message.endswith(f"{REFUSED[name][1]}\n")
    assert not loaded
