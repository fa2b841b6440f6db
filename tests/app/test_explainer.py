from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from attrib import models, registry, video
from attrib.app import panels
from attrib.app.explainer import Explainer, Shown
from attrib.app.request import Request
from attrib.demo.dataset import Demo
from attrib.errors import AttribError, InputError
from attrib.method import Method
from attrib.subject import Subject
from attrib.testing import ToyModel, toy_clip, toy_volume


@dataclass(frozen=True)
class Broken(Method):
    """Fails."""

    def values(self, subject: Subject) -> torch.Tensor:
        raise ValueError("<b>no</b>")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("app")
    clip = toy_clip()
    video.write(place / "toy.mp4", clip.frames.repeat(2, axis=1).repeat(2, axis=2), clip.times, clip.end)
    return place


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> None:
    known, names = registry.get, registry.names
    monkeypatch.setattr(registry, "get", lambda kind, name: Broken if name == "broken" else known(kind, name))
    monkeypatch.setattr(registry, "names", lambda kind: [*names(kind), "broken"])


def asked(folder: Path, **changed: object) -> Request:
    given = {"video": str(folder / "toy.mp4"), "question": "Is it <i>red</i>?", "options": "red\n<b>green</b>",
             "methods": ["saliency", "centre"], "target": "predicted"}  # fmt: skip
    return Request.of(**given | changed)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def shown(folder: Path) -> Iterator[Shown]:
    found = Explainer(ToyModel(), folder).answer(asked(folder))
    yield found
    found.remove()


def test_the_model_sees_as_many_frames_as_asked(folder: Path) -> None:
    explainer = Explainer(ToyModel(), folder, {"model": {"frames": 3}})
    for frames, seen in ((None, 3), (2, 2)):
        found = explainer.answer(asked(folder, methods=["centre"], frames=frames))
        with np.load(found.files()[0]) as volume:
            assert len(volume["values"]) == seen
        found.remove()


def test_an_answer_leaves_its_files_in_a_folder_of_its_own_until_it_is_removed(folder: Path) -> None:
    found = Explainer(ToyModel(), folder).answer(asked(folder, methods=["centre"]))
    assert found.folder.parent == folder
    assert {path.name for path in found.folder.iterdir()} == {"centre.mp4", "centre.npz", "centre.png", "summary.json"}
    assert found.overlay("centre") == found.folder / "centre.mp4"
    assert found.sheet("centre") == found.folder / "centre.png"
    assert [path.name for path in found.files()] == ["centre.npz", "summary.json"]
    for name in ("saliency", "../centre", "summary"):
        with pytest.raises(InputError, match="explain it first"):
            found.overlay(name)
    found.remove()
    assert not found.folder.exists()
    assert (folder / "toy.mp4").exists()


def test_the_answer_shows_options_probabilities_and_costs_with_markup_as_text(shown: Shown) -> None:
    assert shown.methods == ("saliency", "centre")
    assert '<p class="at-said" dir="auto">A. red</p>' in shown.answer
    assert "B. &lt;b&gt;green&lt;/b&gt;" in shown.answer and "<b>" not in shown.answer
    shares = [float(share) for share in re.findall(r'at-number">([\d.]+) %', shown.answer)]
    assert len(shares) == 2 and shares[0] > 50 and sum(shares) == pytest.approx(100, abs=0.11)
    assert re.findall(r'<tr class="at-chosen">\s*<th scope="row" dir="auto">(.*?)<', shown.answer) == ["A. red"]
    assert re.search(r"looked at 4 frames\. saliency \d+\.\d s, centre \d+\.\d s\.", shown.answer)
    assert set(shown.timelines) == {"saliency", "centre"}


def test_another_option_can_be_explained_and_a_free_answer_too(folder: Path) -> None:
    other = Explainer(ToyModel(), folder).answer(asked(folder, target="option:1", methods=["saliency"]))
    assert "Explained: <bdi>B. &lt;b&gt;green&lt;/b&gt;</bdi>." in other.answer
    free = Explainer(ToyModel(), folder).answer(asked(folder, options="", methods=["saliency"]))
    assert "at-chosen" not in free.answer and "at-number" in free.answer, "tokens, none of them chosen"


def test_what_fails_is_told_beside_the_others_or_alone_and_leaves_nothing(folder: Path, broken: None) -> None:
    explainer = Explainer(ToyModel(), folder)
    found = explainer.answer(asked(folder, methods=["broken", "centre"]))
    assert found.methods == ("centre",)
    assert "broken failed: ValueError: &lt;b&gt;no&lt;/b&gt;" in found.answer
    found.remove()
    before = set(folder.iterdir())
    with pytest.raises(AttribError, match="ValueError: <b>no</b>"):
        explainer.answer(asked(folder, methods=["broken"]))
    with pytest.raises(InputError, match="expected different ones"):
        explainer.answer(asked(folder, options="red\nred"))
    with pytest.raises(InputError, match="unknown kind 'me'"):
        explainer.answer(asked(folder, target="me"))
    assert set(folder.iterdir()) == before


def test_drawing_that_fails_leaves_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = set(folder.iterdir())
    monkeypatch.setattr(panels, "timelines", lambda found: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        Explainer(ToyModel(), folder).answer(asked(folder, methods=["centre"]))
    assert set(folder.iterdir()) == before


def test_a_complaint_does_not_name_this_machines_folders(folder: Path) -> None:
    shutil.copy(Path(__file__), folder / "notes.mp4")
    explainer = Explainer(ToyModel(), folder)
    with pytest.raises(InputError) as caught:
        explainer.answer(asked(folder, video=str(folder / "notes.mp4")))
    assert str(folder) in str(caught.value)
    assert explainer.complaint(caught.value).startswith("notes.mp4: ")


def test_settings_of_the_model_are_heeded(folder: Path) -> None:
    found = Explainer(ToyModel(), folder, {"model": {"frames": 2}}).answer(asked(folder, methods=["centre"]))
    assert "looked at 2 frames" in found.answer


def test_the_profile_is_the_share_of_positive_saliency_in_each_frame() -> None:
    values = np.zeros((4, 1, 2), np.float32)
    values[1], values[2], values[3] = [1, 2], [-5, 1], [-1, -1]
    assert panels.profile(toy_volume(values)).tolist() == [0, 0.75, 0.25, 0]
    assert panels.profile(toy_volume(-values - 9)).tolist() == [0, 0, 0, 0]


def test_the_timeline_by_hand() -> None:
    one, two = np.zeros((4, 1, 1), np.float32), np.ones((4, 1, 1), np.float32)
    one[1], one[2] = 3, 1
    found = panels.timeline({"one": toy_volume(one), "<two>": toy_volume(two)}, 2.0, "one")
    assert re.findall(r' d="(.*?)"', found) == [
        "M0 100 V100.00 H250.00 V0.00 H500.00 V66.67 H750.00 V100.00 H1000.00 V100 Z",  # shares 0, 3/4, 1/4, 0
        "M0 100 V0.00 H250.00 V0.00 H500.00 V0.00 H750.00 V0.00 H1000.00 V100 Z",
    ]
    assert re.findall(r'at-even" x2="1000" y1="([\d.]+)"', found) == ["66.67", "0.0"]
    assert re.findall(r'class="(at-row.*?)"', found) == ["at-row at-shown", "at-row"]
    assert 'aria-valuemin="0.0" aria-valuemax="2.0"' in found and 'data-times="0.0 0.5 1.0 1.5"' in found
    assert re.findall(r'left: ([\d.]+)%">(.*?)<', found) == [
        ("0.0", "0 s"), ("25.0", "0.5 s"), ("50.0", "1 s"), ("75.0", "1.5 s"), ("100.0", "2 s")]  # fmt: skip
    assert "one: most in frame 2 of 4, 75% of its positive saliency" in found
    assert "&lt;two&gt;" in found and "<two>" not in found


def test_ticks_are_round_and_few_whatever_the_length() -> None:
    for end, texts in ((0.07, ["0 s", "0.02 s", "0.04 s", "0.06 s"]), (60.0, ["0 s", "20 s", "40 s", "60 s"])):
        volume = toy_volume(np.ones((4, 1, 1)))
        object.__setattr__(volume, "times", np.linspace(0, end * 0.75, 4))
        assert re.findall(r'%">(.*?)<', panels.timeline({"one": volume}, end, "one")) == texts


@pytest.mark.slow
def test_an_answer_is_traced_with_the_annotation_of_its_example(tmp_path: Path) -> None:
    """The first layer's share that the evidence restores is that of `attrib trace` on the same question."""
    (example,) = Demo(1, root=str(tmp_path / "world"), counterfactuals=False)
    explainer, given = Explainer(models.load("demo"), tmp_path), example.question
    video = tmp_path / "upload.mp4"  # what the browser sends back
    shutil.copyfile(example.video, video)
    request = Request.of(str(video), given.text, "\n".join(given.options), ["centre"], "predicted")
    found = explainer.trace(request, [example], tmp_path / "trace")
    assert found.figure == tmp_path / "trace" / "trace.png"
    assert found.sentence.startswith("The evidence object's tokens carry the answer")
    table = pd.read_csv(tmp_path / "trace" / "trace.csv").query("kind == 'group' and stream == 'residual'")
    assert table.query("part == 'evidence' and layer == 0")["mean"].item() > 0.5
    assert {"same_object", "last"} <= set(table["part"])

    other = Request.of(str(video), given.text + "?", "\n".join(given.options), ["centre"], "predicted")
    blank = explainer.trace(other, [example], tmp_path / "other")
    assert "video" in set(pd.read_csv(tmp_path / "other" / "trace.csv")["part"]), "another question has no annotation"
    assert "evidence" not in blank.sentence
    with pytest.raises(InputError, match="expected an example or an upload of this page"):
        explainer.trace(replace(request, video=Path("/etc/hostname")), [example], tmp_path / "none")
