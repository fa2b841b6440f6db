"""The page as a visitor has it: served on a free loopback port, driven in headless Chromium."""

from __future__ import annotations

import json
import os
import re
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlparse

import httpx
import pytest

from attrib import models, video
from attrib.errors import InputError
from attrib.testing import toy_clip
from attrib.types import Question, Sample

sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
serving = pytest.importorskip(
    "attrib.app.server", reason="the extra [app] is not installed", exc_type=ImportError
).serving

pytestmark = pytest.mark.slow
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Folder for temporary folders, in a working directory that stays empty."""
    place = tmp_path_factory.mktemp("serving")
    (place / "here").mkdir()
    patch = pytest.MonkeyPatch()
    patch.setattr("tempfile.tempdir", str(place))
    patch.chdir(place / "here")
    yield place
    patch.undo()


@pytest.fixture(scope="module")
def address(folders: Path) -> Iterator[str]:
    before = os.environ.get("GRADIO_TEMP_DIR")
    clip = toy_clip()
    video.write(folders / "own.mp4", clip.frames, clip.times, clip.end)
    asked = Question("Which <b>own</b>?", ("red", "blue"), answer=0)
    own = [Sample(id=name, video=folders / f"{name}.mp4", question=asked) for name in ("own", "gone")]
    with serving(models.load("demo"), 0, examples=2, samples=own) as (address, server, listening):
        thread = threading.Thread(target=lambda: server.run(sockets=[listening]))
        thread.start()
        yield address
        server.should_exit = True
        thread.join(timeout=20)
    assert not thread.is_alive()
    left = {path.name for path in folders.iterdir()}
    assert not any(name.startswith(("attrib-app-", "gradio")) for name in left), "all files of the page go with it"
    assert list((folders / "here").iterdir()) == []
    assert os.environ.get("GRADIO_TEMP_DIR") == before


@pytest.fixture
def page(address: str) -> Iterator[object]:
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed")
    with sync_api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        asked: list[str] = []
        told: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: told.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: told.append(str(error)))
        page.goto(address)
        yield page
        browser.close()
    hosts = {urlparse(url).hostname for url in asked if not url.startswith(("data:", "blob:"))}
    assert hosts == {"127.0.0.1"}, "no request leaves this machine"
    assert told == []


def test_explain_waits_for_the_fields_of_an_example(page: sync_api.Page) -> None:
    """A visitor who presses at once is not answered about the example before."""
    held: list[sync_api.Route] = []
    page.route("**/gradio_api/run/**", lambda route: held.append(route))
    page.get_by_label("Example").click()
    page.get_by_role("option", name="video_1").click()
    explain = page.get_by_role("button", name="Explain")
    page.wait_for_function("document.querySelector('#at-explain').disabled")
    assert held and page.get_by_label("Question").input_value() == "Which <b>own</b>?"
    page.unroute("**/gradio_api/run/**")  # lets them go
    sync_api.expect(explain).to_be_enabled()
    assert page.get_by_label("Question").input_value() not in ("", "Which <b>own</b>?")


def test_an_example_and_an_upload_are_explained(page: sync_api.Page, folders: Path) -> None:
    page.get_by_label("Example").click()
    page.get_by_role("option", name="video_0").click()
    page.get_by_role("button", name="Explain").click()
    page.locator("#at-timeline .at-plot").wait_for()
    assert re.fullmatch(r"[ABC]\. \w+", page.locator(".at-said").inner_text())
    assert page.locator(".at-answer tr").count() == 3
    assert page.locator("#at-method label").all_inner_texts() == ["relevance", "grad_cam"]
    film = page.locator("#at-overlay video")
    page.wait_for_function("document.querySelector('#at-overlay video').readyState >= 2")
    first = film.get_attribute("src")
    assert film.evaluate("video => [video.videoWidth, video.videoHeight]")[0] == 256

    page.locator("#at-method").get_by_label("grad_cam").check()
    page.locator(".at-shown .at-name", has_text="grad_cam").wait_for()
    page.wait_for_function(
        "old => (film => film.src != old && film.readyState >= 2)(document.querySelector('#at-overlay video'))",
        arg=first,
    )
    film.evaluate("video => video.pause()")
    box = page.locator(".at-plot").bounding_box()
    assert box is not None
    page.locator(".at-plot").click(position={"x": box["width"] * 0.75, "y": box["height"] / 2})
    assert film.evaluate("video => video.currentTime") == pytest.approx(3.0, abs=0.05)
    page.wait_for_function("parseFloat(document.querySelector('.at-cursor').style.left) > 74")
    for key, time in (("ArrowRight", 3.5), ("ArrowLeft", 3.0), ("ArrowLeft", 2.5), ("Home", 0.0), ("ArrowLeft", 0.0)):
        page.locator(".at-plot").press(key)
        assert film.evaluate("video => video.currentTime") == pytest.approx(time, abs=0.001)
        page.wait_for_function("time => document.querySelector('.at-plot').ariaValueNow === time.toFixed(3)", arg=time)
    page.locator(".at-plot").press("Space")
    page.wait_for_function("!document.querySelector('#at-overlay video').paused")
    page.locator(".at-plot").press("Space")
    page.wait_for_function("document.querySelector('#at-overlay video').paused")

    page.get_by_role("button", name="How the answer travels").click()
    page.get_by_role("button", name="Trace the answer").click()
    page.locator(".at-finding").wait_for(timeout=120_000)
    assert "the answer" in page.locator(".at-finding").inner_text()
    page.wait_for_function("document.querySelector('#at-figure img')?.naturalWidth > 1000")

    for words, direction in (("ما لون", "rtl"), ("Which 颜色", "ltr")):
        said = page.locator(".at-said").evaluate(
            "(part, words) => { part.textContent = words; return getComputedStyle(part).direction; }", words
        )
        assert said == direction
    for field in (page.get_by_label("Question"), page.get_by_label("Options")):
        assert field.evaluate("field => getComputedStyle(field).unicodeBidi") == "plaintext"

    page.get_by_label("Question").fill("")
    page.get_by_role("button", name="Explain").click()
    assert page.get_by_role("alert").inner_text() == "question: the text is empty"
    (explained,) = folders.glob("attrib-app-*/explained-*")

    clip = toy_clip()
    video.write(folders / "toy.mp4", clip.frames.repeat(2, axis=1).repeat(2, axis=2), clip.times, clip.end)
    page.get_by_role("button", name="Clear").first.click()
    page.locator("input[type=file]").first.set_input_files(folders / "toy.mp4")
    page.wait_for_function("document.querySelector('video')?.src.includes('toy')")
    page.get_by_label("Question").fill("Is it <img src=x onerror=alert(1)>?")
    page.locator("#at-options textarea").fill("<b>red</b>\ngreen")
    page.get_by_role("button", name="Explain").click()
    page.locator(".at-answer th", has_text="A. <b>red</b>").wait_for()
    assert page.get_by_role("alert").count() == 0
    assert not explained.exists(), "the last explanation's files are removed"
    (folders / "toy.mp4").unlink()


def answers(address: str, data: list[object]) -> dict[str, object]:
    """Answer of the page's server to a request that no browser made, for the event of the button Explain."""
    events = httpx.get(f"{address}config").json()["dependencies"]
    (event,) = (one["id"] for one in events if one["queue"] and len(one["outputs"]) > 2)
    asked = {"data": data, "fn_index": event, "session_hash": "me"}
    assert httpx.post(f"{address}gradio_api/queue/join", json=asked).status_code == 200
    with httpx.stream("GET", f"{address}gradio_api/queue/data", params={"session_hash": "me"}, timeout=30) as stream:
        for line in stream.iter_lines():
            if line.startswith("data:") and '"process_completed"' in line:
                return json.loads(line.removeprefix("data:"))
    raise AssertionError("no answer")


def test_only_an_explanation_and_a_trace_wait_in_the_queue(address: str) -> None:
    """Quick events do not: their streams would close on others. The two buttons' take minutes, and turns."""
    events = httpx.get(f"{address}config").json()["dependencies"]
    waiting = [one for one in events if one["queue"]]
    assert [(one["trigger_mode"], len(one["inputs"]), len(one["outputs"])) for one in waiting] == [
        ("once", 7, 11), ("once", 7, 2),
    ]  # fmt: skip
    assert len(events) == 8


def test_a_path_that_was_not_uploaded_is_not_read(address: str, folders: Path) -> None:
    for path in ("/etc/passwd", __file__, "http://127.0.0.1:1/x.mp4"):
        film = {"path": path, "meta": {"_type": "gradio.FileData"}}
        found = answers(address, [film, "What?", "a\nb", ["centre"], "predicted", None, None])
        assert not found["success"], path
    secret = {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}
    answers(address, [None, secret, "", [], "predicted", None, None])
    (folder,) = folders.glob("attrib-app-*")
    kept = [path.name for path in folder.rglob("*") if path.is_file()]
    assert "video_0.mp4" in kept and not {"passwd", Path(__file__).name, "x.mp4"}.intersection(kept)


def test_uploads_beyond_the_limit_other_hosts_origins_and_frames_are_refused(address: str) -> None:
    large = {"files": ("large.mp4", bytes(51_000_000), "video/mp4")}
    assert httpx.post(f"{address}gradio_api/upload", files=large, timeout=30).status_code == 413
    assert httpx.get(address, headers={"host": "attacker.example"}).status_code == 400
    own = address.rstrip("/")
    for origin, status in ((own, 200), ("http://attacker.example", 403), ("http://127.0.0.1:1", 403), ("null", 403)):
        film = {"files": ("small.txt", b"small", "text/plain")}
        answer = httpx.post(f"{address}gradio_api/upload", files=film, headers={"origin": origin})
        assert answer.status_code == status, origin
    policy = httpx.get(address).headers["content-security-policy"]
    assert "connect-src 'self'" in policy and "frame-ancestors 'none'" in policy
    assert httpx.get(f"{address}docs").status_code == 404


def test_a_port_that_is_taken_is_told_in_one_line(address: str) -> None:
    port = urlparse(address).port
    with pytest.raises(InputError, match=rf"^port {port}: is not available \(Address already in use\); choose another"):
        serving(models.load("demo"), int(port or 0)).__enter__()


def test_questions_of_a_run_are_examples_and_the_frames_are_set(page: sync_api.Page, folders: Path) -> None:
    example = page.get_by_label("Example")
    assert example.input_value() == "Which <b>own</b>? (own)"  # the first; the one whose video is gone is left out
    assert page.get_by_label("Question").input_value() == "Which <b>own</b>?"
    example.click()
    assert [text for text in page.get_by_role("option").all_inner_texts() if "gone" in text] == []
    page.keyboard.press("Escape")
    page.locator("#at-frames input").fill("3")
    page.get_by_role("button", name="Explain").click()
    page.locator("#at-timeline .at-plot").wait_for()
    assert "The model looked at 3 frames" in page.locator("#at-answer").inner_text()
    assert len(page.locator("#at-timeline .at-plot").get_attribute("data-times").split()) == 3
    assert (folders / "own.mp4").exists()
