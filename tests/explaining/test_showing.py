"""An explanation shows itself: by its HTML, in a real notebook, and in a browser."""

from __future__ import annotations

import base64
import re
import shutil
from pathlib import Path

import av
import cv2
import nbformat
import numpy as np
import pytest
from tags import Tags

import attrib
from attrib.demo.generate import generate
from attrib.explaining import showing
from attrib.explaining.explanation import Explanation

EVIL = "<script>document.title='evil'</script><b>What</b> colour is the object that moves?"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    (found,) = (generate(tmp_path_factory.mktemp("world"), videos=1, seed=5) / "videos").glob("*.mp4")
    return found


@pytest.fixture(scope="module")
def explained(clip: Path) -> Explanation:
    return attrib.explain(clip, EVIL, ["red", "<i>blue</i>"], methods=["grad_cam", "centre"])


def embedded(page: str, kind: str) -> list[bytes]:
    return [base64.b64decode(text) for text in re.findall(f"data:{kind};base64,([^']+)'", page)]


def test_the_page_has_a_sheet_and_a_player_for_each_method_and_no_markup_of_others(explained: Explanation) -> None:
    page = explained._repr_html_()
    tags = Tags(page)
    assert (tags.names.count("img"), tags.names.count("video")) == (2, 2)
    assert "script" not in tags.names and "i" not in tags.names
    assert EVIL in tags.text and "<i>blue</i> (" in tags.text
    assert tags.text.count("%") >= 2 and "grad_cam" in tags.text
    assert len(page) < showing.MOST


def test_the_player_shows_the_frames_of_the_clip_at_their_times(explained: Explanation, tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    film.write_bytes(embedded(explained._repr_html_(), "video/mp4")[0])
    with av.open(str(film)) as file:
        times = [float(frame.pts * frame.time_base) for frame in file.decode(video=0)]
    np.testing.assert_allclose(times, explained.subject.clip.times, atol=1e-3)
    for png in embedded(explained._repr_html_(), "image/png"):
        assert cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR).shape[1] <= showing.SHEET


def test_what_would_make_the_notebook_large_is_named_instead(
    explained: Explanation, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = len(explained._repr_html_())
    monkeypatch.setattr(showing, "MOST", whole * 2 // 3)
    page = explained._repr_html_()
    assert len(page) <= showing.MOST + 300
    assert Tags(page).names.count("video") == 1 and "Not shown here, to keep the notebook small: centre" in page
    monkeypatch.setattr(showing, "MOST", 1)
    assert Tags(explained._repr_html_()).names.count("video") == 0


def test_large_frames_are_made_small_for_the_player(explained: Explanation) -> None:
    from dataclasses import replace

    clip = explained.subject.clip
    large = replace(clip, frames=np.repeat(np.repeat(clip.frames, 5, axis=1), 10, axis=2))
    small = showing._small(large)
    assert max(small.frames.shape[1:3]) == showing.PLAYER and len(small) == len(clip)
    assert showing._small(clip) is clip


@pytest.mark.slow
def test_a_notebook_shows_it_and_its_progress(clip: Path, tmp_path: Path) -> None:
    nbclient = pytest.importorskip("nbclient")
    cells = [
        f"import attrib\nfound = attrib.explain({str(clip)!r}, {EVIL!r}, ['red', 'blue'], methods=['grad_cam'])\nfound",
        "volume = found.volumes['grad_cam']\nvolume",
        "volume.plot()",
        "volume.to_xarray()",
        "from attrib.runtime.notebook_bar import NotebookBar, in_notebook\nassert in_notebook()\n"
        "bar = NotebookBar()\nbar._last = 0\nbar('x', 1, 4)",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    nbclient.NotebookClient(notebook, timeout=240, kernel_name="python3").execute()
    shown = [[output for output in cell.outputs if "data" in output] for cell in notebook.cells]
    page = shown[0][-1]["data"]["text/html"]
    assert Tags(page).names.count("video") == 1 and Tags(page).names.count("img") == 1
    assert shown[0][0]["data"]["text/html"] == "", "the bar is gone when the work is done"
    assert "data:image/png" in shown[1][0]["data"]["text/html"]
    assert len(shown[2]) == 1 and base64.b64decode(shown[2][0]["data"]["image/png"]).startswith(b"\x89PNG")
    assert "xarray.DataArray" in shown[3][0]["data"]["text/plain"]
    assert "1 of 4: x" in shown[4][0]["data"]["text/html"]


@pytest.mark.slow
def test_a_browser_plays_the_overlay_and_runs_no_foreign_script(explained: Explanation, tmp_path: Path) -> None:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip(f"no browser: expected one of {', '.join(BROWSERS)} on the path")
    path = tmp_path / "page.html"
    path.write_text(f"<title>mine</title><meta charset=utf-8>{explained._repr_html_()}", encoding="utf-8")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 900, "height": 1400})
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(path.as_uri())
        page.wait_for_function("() => [...document.querySelectorAll('video')].every(v => v.readyState >= 2)")
        lengths = page.eval_on_selector_all("video", "all => all.map(v => [v.duration, v.videoWidth])")
        assert all(abs(length - explained.subject.clip.end) < 0.1 and width > 50 for length, width in lengths)
        assert page.evaluate("() => [...document.images].every(i => i.naturalWidth > 500)")
        page.evaluate("() => document.querySelector('video').play()")
        page.wait_for_function("() => document.querySelector('video').currentTime > 0.1")
        assert page.title() == "mine"
        assert not [url for url in asked if not url.startswith(("data:", path.as_uri()))]
        page.screenshot(path=str(tmp_path / "page.png"))
        browser.close()
