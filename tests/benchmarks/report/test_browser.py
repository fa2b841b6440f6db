"""The report in a browser: every control, by mouse and by key; nothing is loaded from elsewhere, text stays text."""

from __future__ import annotations

import base64
import re
import shutil
import threading
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest

from attrib.benchmarks.jobs import finished_run
from attrib.benchmarks.report import page as report
from attrib.benchmarks.report.serve import serving
from attrib.render.options import RenderOptions, heat
from attrib.video import read

from reported import EVIL, IDS, QUESTION, TRACK, built_in, forgotten, hostile, known

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

pytestmark = pytest.mark.slow
MINUS = "\N{MINUS SIGN}"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip(f"no browser: expected one of {', '.join(BROWSERS)} on the path")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built_in(tmp_path_factory.mktemp("built_in"))


@pytest.fixture(scope="module")
def written(run: Path) -> Path:
    return report.write(run).path


@pytest.fixture(scope="module")
def beside(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same report with everything beside the page."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "EMBEDDED", 0)
        return report.write(run, tmp_path_factory.mktemp("beside")).path


class Opened:
    """A page, all that it asked for, and all that it complained of."""

    def __init__(self, browser: Any, address: str, script: str = "", **options: Any) -> None:
        self.page = browser.new_page(
            **{"viewport": {"width": 900, "height": 700}, "reduced_motion": "reduce", **options}
        )
        self.page.set_default_timeout(5000)
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.complaints.append("a dialog"), dialog.dismiss()))
        self.page.add_init_script(script)
        self.page.goto(address)
        self.page.wait_for_function(READY)

    def outside(self, base: str) -> list[str]:
        """Requests that leave the page and what lies beside it."""
        return [url for url in self.requests if not url.startswith((base, "blob:", "data:"))]


DOM = (files("attrib.benchmarks.report") / "templates" / "dom.js").read_text()
FITTED = "const short = fitted(text, room, 10.5); return [short, widthOf(short, 10.5)];"
READY = "() => document.querySelector('#player video')?.readyState >= 2 || !document.querySelector('#player video')"


@pytest.fixture(scope="module")
def opened(browser: Any, written: Path) -> Iterator[Opened]:
    found = Opened(browser, written.as_uri())
    yield found
    assert found.complaints == []
    assert found.outside(written.as_uri()) == []
    found.page.close()


@pytest.fixture
def page(opened: Opened) -> Any:
    """The page as it opens."""
    opened.page.reload()
    opened.page.wait_for_function(READY)
    return opened.page


def test_words_take_the_direction_of_their_script(page: Any) -> None:
    """Question, options and what a list offers go from the right once their first letter does."""
    for place in (
        ".question",
        ".options li span:nth-child(2)",
        "#sample option",
        "#board-controls option",
        ".facts dd",
    ):
        direction = f"""(words) => {{
            const part = document.querySelector("{place}");
            part.textContent = words;
            return getComputedStyle(part).direction;
        }}"""
        assert page.evaluate(direction, "ما لون") == "rtl", place
        assert page.evaluate(direction, "Which 颜色") == "ltr", place


@pytest.mark.parametrize("word", ["物", "W", "i", "هذا ", "👩‍🔬"])
def test_labels_of_any_script_are_cut_to_their_room(page: Any, word: str) -> None:
    for room in (5, 60, 200):
        short, width = page.evaluate(f"([text, room]) => {{ {DOM} {FITTED} }}", [word * 80, room])
        assert width <= room
        if room > 5:
            assert short.startswith(word.strip()) and short.endswith("…")
            assert (word * 80).startswith(short.removesuffix("…"))
            assert width > room - 30, "no more is cut than must be"


def rows(page: Any, table: str = "#board") -> list[str]:
    return [row.get_attribute("data-method") for row in page.locator(f"{table} tbody tr").all()]


def pixels(page: Any, selector: str = "#overlay") -> np.ndarray[Any, Any]:
    """A canvas, RGBA (h, w, 4)."""
    address = page.eval_on_selector(selector, "(canvas) => canvas.toDataURL()")
    png = np.frombuffer(base64.b64decode(address.partition(",")[2]), np.uint8)
    return np.asarray(cv2.imdecode(png, cv2.IMREAD_UNCHANGED))[..., [2, 1, 0, 3]]


def now(page: Any) -> float:
    return float(page.locator("#timeline").get_attribute("aria-valuenow"))


def test_it_sorts_by_any_column_by_mouse_and_by_key(page: Any, run: Path) -> None:
    board = pd.read_csv(run / "leaderboard.csv")
    board = board[board["subset"] == "all"]
    for metric, ascending in (("shuffled_auc", False), ("object_auc", False)):
        means = board[board["metric"] == metric].set_index("method")["mean"]
        page.locator(f'#board button[data-key="{metric}"]').click()
        values = [means[method] for method in rows(page)]
        assert values == sorted(values, reverse=not ascending)
        header = page.locator(f'#board th:has(button[data-key="{metric}"])')
        assert header.get_attribute("aria-sort") == "descending"
        page.keyboard.press("Enter")  # the header keeps the focus
        values = [means[method] for method in rows(page)]
        assert values == sorted(values)
        assert header.get_attribute("aria-sort") == "ascending"
        assert page.locator("#board th[aria-sort]").count() == 1
    page.locator('#board button[data-key="method"]').click()
    assert rows(page) == sorted(rows(page))


def test_cells_are_the_tables_numbers(page: Any, run: Path) -> None:
    page.locator("#board-controls select").nth(1).select_option("all")
    board = pd.read_csv(run / "leaderboard.csv")
    board = board[board["subset"] == "all"].assign(imputer=lambda table: table["imputer"].fillna(""))
    for row in board.to_dict("records"):
        key = f"{row['metric']} {row['imputer']}".strip()
        cell = page.locator(f'#board tr[data-method="{row["method"]}"] td[data-key="{key}"]')
        assert float(cell.get_attribute("data-mean")) == pytest.approx(row["mean"], rel=1e-5, abs=1e-9)
        shown = re.search("95 % interval (.*) to (.*), 3 videos", cell.get_attribute("title").replace(MINUS, "-"))
        assert [float(end) for end in shown.groups()] == pytest.approx([row["low"], row["high"]], abs=0.0051)


def test_it_filters_by_text_kind_and_subset(page: Any, run: Path) -> None:
    everything = {"attention_rollout", "divided", "saliency", "centre", "oracle"}
    assert set(rows(page)) == everything
    page.get_by_label("Filter methods").fill("ROLL")
    assert rows(page) == ["attention_rollout"]
    page.get_by_label("Filter methods").fill("nothing like this")
    assert "No row matches" in page.locator("#board").inner_text()
    page.get_by_label("Filter methods").fill("")
    for kind, gone in (("control", {"centre"}), ("bound", {"centre", "oracle"}), ("method", everything)):
        button = page.locator(f'#board-controls button[data-kind="{kind}"]')
        button.focus()
        page.keyboard.press("Space")
        assert button.get_attribute("aria-pressed") == "false"
        assert set(rows(page)) == everything - gone
        if kind == "method":
            button.click()
    assert set(rows(page)) == {"attention_rollout", "divided", "saliency"}
    page.locator("#board-controls select").nth(1).select_option("alignment in time")
    assert page.locator("#board thead button").all_inner_texts()[1:] == ["segment_auc ↑"]
    task = pd.read_csv(run / "leaderboard.csv")["subset"].iloc[-1]
    page.locator("#board-controls select").nth(0).select_option(task)
    assert set(rows(page)) == {"attention_rollout", "divided", "saliency"}


def test_figures_follow_their_controls(page: Any) -> None:
    plane = page.locator("#plane-figure svg")
    before = plane.get_attribute("aria-label")
    assert before.startswith("object_auc against srg mean")
    page.locator("#plane-controls select").nth(1).select_option("shuffled_auc")
    assert plane.get_attribute("aria-label").startswith("shuffled_auc against srg mean")
    assert plane.locator("text", has_text="divided").count() == 1
    curve = page.locator('#curves-figure figure[data-method="oracle"] svg[role=img]')
    assert curve.get_attribute("aria-label").startswith("most first")
    page.locator("#curves-controls select").nth(1).select_option("insertion")
    assert curve.get_attribute("aria-label").startswith("insertion")
    page.locator("#curves-controls select").nth(2).select_option("probability")
    assert all(0 <= float(height) <= 1 for height in curve.get_attribute("aria-label").partition(": ")[2].split(", "))
    assert page.locator("#centre-table tbody tr").first.get_attribute("data-method") == "centre"
    assert "scores" in page.locator("#centre-words").inner_text()


def test_so_few_videos_are_not_shown_as_if_they_told_something(
    page: Any, browser: Any, run: Path, tmp_path: Path
) -> None:
    assert page.locator("#ranks-figure figure").count() == 0
    for place in ("#ranks-figure", "#sanity-table", "#floors-table", "#board-key"):
        assert "too few for any conclusion" in page.locator(place).inner_text()
    assert page.locator("#board b, #floors-table b, #sanity-table .pass, #sanity-table .fail").count() == 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "FEW_VIDEOS", 1)
        many = Opened(browser, report.write(run, tmp_path).path.as_uri())
    assert many.page.locator("#ranks-figure figure").count() >= 2
    assert "too few" not in many.page.locator("main").inner_text()
    assert many.page.locator("#board b").count() >= 1
    many.page.close()


def test_a_methods_name_leads_to_what_it_does(page: Any) -> None:
    page.locator('#board tr[data-method="attention_rollout"] th a').click()
    entry = page.locator(".legend > :target")
    assert entry.locator("code").inner_text() == "attention_rollout"
    assert "Abnar" in entry.locator("dd").inner_text()


def test_the_player_opens_at_the_maps_peak_and_goes_there_again(page: Any, run: Path) -> None:
    found = finished_run.read(run)
    sample = next(iter(found.samples.values()))
    page.locator("#timeline").focus()
    for label in ("attention_rollout", "oracle"):
        volume = found.volume(sample, label)
        shares = np.maximum(volume.values, 0).sum((1, 2)) / np.maximum(volume.values, 0).sum()
        if label == "oracle":
            page.locator(f'[data-method="{label}"][role=radio]').click()
            page.keyboard.press("Home")
            page.locator("#peak").click()
        assert now(page) == pytest.approx(volume.times[shares.argmax()], abs=0.006)
        told = page.locator("#peak").inner_text()
        assert f"{100 * shares.max():.0f} % of this map" in told and f"{volume.times[shares.argmax()]:.2f} s" in told
    page.keyboard.press("Home")
    assert now(page) == 0
    page.keyboard.press("p")
    assert now(page) == pytest.approx(volume.times[shares.argmax()], abs=0.006)


def test_floors_and_tasks_follow_their_controls(page: Any, run: Path) -> None:
    floors = pd.read_csv(run / "floors.csv")
    metric = floors["metric"].unique()[1]
    page.locator("#floors-controls select").select_option(metric)
    row = floors[(floors["metric"] == metric) & (floors["method"] == "saliency")].dropna(subset="difference").iloc[0]
    cells = page.locator('#floors-table tr[data-method="saliency"] td[data-mean]')
    assert any(
        float(cell.get_attribute("data-mean")) == pytest.approx(row["difference"], rel=1e-4) for cell in cells.all()
    )
    if page.locator("#tasks-controls select").count():
        page.get_by_label("Filter tasks").fill("no such task")
        assert "No task is left" in page.locator("#tasks-figure").inner_text()


def test_time_is_moved_by_key_and_by_click(page: Any, run: Path) -> None:
    sample = next(iter(finished_run.read(run).samples.values()))
    times = finished_run.read(run).volume(sample, "oracle").times
    page.locator("#timeline").focus()
    page.keyboard.press("Home")
    for time in (*times[1:], times[-1]):
        page.keyboard.press("ArrowRight")
        assert now(page) == pytest.approx(time, abs=0.006)
    page.keyboard.press("ArrowLeft")
    assert now(page) == pytest.approx(times[-2], abs=0.006)
    page.keyboard.press("Home")
    assert now(page) == 0
    page.wait_for_function("() => document.querySelector('#player video').currentTime === 0")
    end = float(page.locator("#timeline").get_attribute("aria-valuemax"))
    width = page.locator("#timeline").bounding_box()["width"]
    page.locator("#timeline").click(position={"x": 62 + (width - 70) / 2, "y": 20})
    assert now(page) == pytest.approx(end / 2, abs=0.05)
    page.wait_for_function(f"() => Math.abs(document.querySelector('#player video').currentTime - {end / 2}) < 0.05")
    page.keyboard.press("End")
    assert now(page) == pytest.approx(end, abs=0.01)


def test_the_frame_under_the_overlay_is_that_of_the_moment(page: Any, run: Path) -> None:
    sample = next(iter(finished_run.read(run).samples.values()))
    page.locator("#timeline").focus()
    for _ in range(2):
        page.keyboard.press("ArrowRight")
        page.wait_for_function("() => !document.querySelector('#player video').seeking")
    time = now(page)
    wanted = {at: read(sample.video, sampling="times", times=[at]).frames[0] for at in (time, 0.0)}

    def distances() -> dict[float, float]:
        shown = pixels(page, "#frame")[..., :3]
        return {
            at: np.abs(cv2.resize(shown, frame.shape[1::-1], interpolation=cv2.INTER_AREA).astype(int) - frame).mean()
            for at, frame in wanted.items()
        }

    for _ in range(100):  # a busy machine draws late
        away = distances()
        if away[time] < 4:
            break
        page.wait_for_timeout(100)
    assert away[time] < 4 and away[0.0] > away[time] + 1


def test_it_plays_and_stops(page: Any) -> None:
    film = page.locator("#player video")
    page.locator("#timeline").focus()
    page.keyboard.press("Home")
    page.keyboard.press("Space")
    page.wait_for_function("() => document.querySelector('#player video').currentTime > 0.1")
    assert not film.evaluate("video => video.paused")
    page.locator("#play", has_text="Pause").wait_for()
    page.locator("#play").click()
    page.wait_for_function("() => document.querySelector('#player video').paused")
    page.locator("#play", has_text="Play").wait_for()  # the button follows the video's own word, a moment later
    stopped = film.evaluate("video => video.currentTime")
    page.wait_for_timeout(300)
    assert 0.1 < stopped == film.evaluate("video => video.currentTime")


def test_the_overlay_is_the_volume_in_the_projects_colours(page: Any, run: Path) -> None:
    found = finished_run.read(run)
    volume = found.volume(next(iter(found.samples.values())), "attention_rollout")
    rows, columns = volume.values.shape[1:]
    page.locator("#timeline").focus()
    for key in ("Home", "b", "g", "ArrowRight"):  # no boxes, cells as they are, the second frame
        page.keyboard.press(key)
    page.locator("#opacity").fill("1")
    for signed in (False, True):
        if signed:
            page.locator("#view-signed").click()
        scale = np.percentile(np.abs(volume.values), 99.5)
        shown = np.clip(volume.values[1] / scale, -1 if signed else 0, 1).astype(np.float32)
        colour, alpha = heat(shown, RenderOptions(signed=signed, opacity=1.0))
        image = pixels(page)
        height, width = image.shape[:2]
        at = image[np.ix_(((np.arange(rows) + 0.5) / rows * height).astype(int),
                          ((np.arange(columns) + 0.5) / columns * width).astype(int))]  # fmt: skip
        np.testing.assert_allclose(at[..., 3] / 255, alpha, atol=0.02)
        strong = alpha > 0.3
        np.testing.assert_allclose(at[strong][:, :3].astype(int), colour[strong].astype(int), atol=8)


def test_keys_and_buttons_change_what_is_drawn(page: Any) -> None:
    page.locator("#timeline").focus()
    assert page.locator("#view-boxes").get_attribute("aria-pressed") == "true"
    before = pixels(page)
    page.keyboard.press("b")
    assert page.locator("#view-boxes").get_attribute("aria-pressed") == "false"
    without = pixels(page)
    assert (before != without).any()
    page.locator("#opacity").fill("0")
    assert pixels(page)[..., 3].max() == 0
    for _ in range(3):
        page.keyboard.press("+")
    assert float(page.locator("#opacity").input_value()) == pytest.approx(0.3)
    page.keyboard.press("-")
    assert float(page.locator("#opacity").input_value()) == pytest.approx(0.2)
    moment = now(page)
    page.locator("#opacity").press("End")
    assert (page.locator("#opacity").input_value(), now(page)) == ("1", moment)


def test_methods_and_their_divided_twins_are_switched(page: Any, run: Path) -> None:
    def shown() -> tuple[str, str]:
        return page.locator("#scores h3").inner_text(), page.locator('.maps [aria-checked="true"]').get_attribute(
            "data-method"
        )

    page.locator("#timeline").focus()
    assert page.locator(".maps button").count() == 4, "the divided row is folded into its twin"
    assert shown() == ("attention_rollout on this sample", "attention_rollout")
    raw, small = pixels(page), pixels(page, ".maps canvas")
    page.keyboard.press("d")
    assert shown()[0] == "divided on this sample"
    assert (pixels(page) != raw).any() and (pixels(page, ".maps canvas") != small).any()
    results = pd.read_parquet(run / "results.parquet")
    sample = next(iter(finished_run.read(run).samples))
    row = results[
        (results["sample"] == sample) & (results["method"] == "divided") & (results["metric"] == "shuffled_auc")
    ]
    score = page.locator('#scores li[data-key="shuffled_auc"] b').get_attribute("data-mean")
    assert float(score) == pytest.approx(row["value"].iloc[0], rel=1e-5)
    page.keyboard.press("d")
    page.keyboard.press("]")
    assert shown()[1] == "saliency"
    assert page.locator("#view-divided").is_disabled()
    page.keyboard.press("[")
    page.keyboard.press("4")
    assert shown() == ("oracle on this sample", "oracle")
    page.locator('.maps button[data-method="centre"]').click()
    assert shown()[1] == "centre"
    page.keyboard.press("ArrowRight")
    assert shown()[1] == "oracle"
    assert page.evaluate("document.activeElement.dataset.method") == "oracle"


def test_samples_are_chosen_by_list_button_and_key(page: Any) -> None:
    select = page.locator("#sample")
    page.locator("#timeline").focus()
    questions = []
    for step in (".", ".", ","):
        questions.append(page.locator(".question").inner_text())
        page.keyboard.press(step)
        page.wait_for_function(READY)
    assert len(set(questions)) == 3 and page.locator(".question").inner_text() == questions[1]
    page.get_by_label("Previous sample").click()
    assert select.input_value() == "0" and page.locator(".question").inner_text() == questions[0]
    select.select_option("2")
    assert page.locator(".question").inner_text() == questions[2]
    assert page.locator(".options .given").count() == 1


def test_the_theme_is_switched_and_kept(browser: Any, written: Path) -> None:
    dark, light = "rgb(21, 23, 26)", "rgb(253, 252, 250)"
    for scheme, before, after, name in (("dark", dark, light, "light"), ("light", light, dark, "dark")):
        found = Opened(browser, written.as_uri(), color_scheme=scheme)
        ground = "getComputedStyle(document.body).backgroundColor"
        assert found.page.evaluate(ground) == before
        found.page.locator("#theme").press("Enter")
        assert found.page.evaluate(ground) == after
        assert found.page.evaluate("localStorage.getItem('attrib-theme')") == name
        stored = f"localStorage.setItem('attrib-theme', '{name}')"
        again = Opened(browser, written.as_uri(), stored, color_scheme=scheme)
        assert again.page.evaluate(ground) == after
        again.page.close()
        found.page.locator("#theme").click()
        assert found.page.evaluate(ground) == before
        assert found.complaints == []
        found.page.close()


def test_it_fits_a_phone_and_every_control_has_a_name(browser: Any, written: Path) -> None:
    found = Opened(browser, written.as_uri(), viewport={"width": 390, "height": 844})
    assert found.page.evaluate("document.documentElement.scrollWidth") == 390
    nameless = found.page.evaluate("""() =>
        [...document.querySelectorAll("button, select, input, [role=slider], [role=img], img")]
            .filter((each) => !(each.innerText?.trim() || each.ariaLabel || each.labels?.length || each.alt))
            .map((each) => each.outerHTML)""")
    assert nameless == []
    found.page.keyboard.press("Tab")
    assert found.page.evaluate("document.activeElement.textContent") == "To the leaderboard"
    assert found.page.evaluate("[...document.querySelectorAll('[tabindex]')].every((each) => each.tabIndex <= 0)")
    assert found.complaints == []
    found.page.close()


def test_what_lies_beside_the_page_is_loaded_when_it_is_looked_at(browser: Any, beside: Path) -> None:
    found = Opened(browser, beside.as_uri())
    names = [url.rsplit("/", 1)[1] for url in found.requests]
    first = {name.split(".")[0] for name in names[1:]}
    assert len([name for name in names if name.endswith(".js")]) == 1 and len(first) == 2
    found.page.locator("#timeline").focus()
    found.page.keyboard.press(".")
    found.page.wait_for_function(READY)
    assert len({url for url in found.requests if url.endswith(".js")}) == 2
    assert pixels(found.page)[..., 3].max() > 0
    assert found.outside(beside.parent.as_uri()) == found.complaints == []
    found.page.close()


def test_a_sample_that_is_missing_leaves_nothing_of_the_one_before(browser: Any, beside: Path, tmp_path: Path) -> None:
    shutil.copytree(beside.parent, tmp_path / "part")
    found = Opened(browser, (tmp_path / "part" / beside.name).as_uri())
    shown = next(url.rsplit("/", 1)[1] for url in found.requests if url.endswith(".js"))
    for path in (tmp_path / "part" / "report").glob("*.js"):
        if path.name != shown:
            path.unlink()
    found.page.locator("#timeline").focus()
    found.page.keyboard.press(".")
    found.page.get_by_text("This sample cannot be shown").wait_for()
    assert found.page.locator("#scores").inner_text() == found.page.locator("#timeline").inner_text() == ""
    found.page.locator("#timeline").focus()
    found.page.keyboard.press(",")
    found.page.wait_for_function(READY)
    assert found.page.locator(".question").is_visible() and pixels(found.page)[..., 3].max() > 0
    found.page.close()


def test_served_it_works_the_same_and_seeks(browser: Any, beside: Path) -> None:
    with serving(beside.parent) as server:
        threading.Thread(target=server.serve, daemon=True).start()
        found = Opened(browser, server.address)
        found.page.locator("#timeline").focus()
        found.page.keyboard.press("End")
        found.page.wait_for_function("() => document.querySelector('#player video').currentTime > 1")
        assert found.outside(server.address) == found.complaints == []
        found.page.close()
        server.http.shutdown()


def test_markup_stays_text_on_the_page(browser: Any, tmp_path: Path) -> None:
    run = hostile(tmp_path)
    known()
    try:
        path = report.write(run).path
    finally:
        forgotten()
    found = Opened(browser, path.as_uri())
    page = found.page
    for place, name in enumerate(IDS):
        page.locator("#sample").select_option(str(place))
        page.wait_for_function(READY)
        assert page.locator(".question").inner_text() == QUESTION
        assert name in page.locator("#sample option").nth(place).inner_text()
    page.locator("#board-controls select").nth(1).select_option("all")
    assert EVIL in rows(page)
    page.locator(f"#board button[data-key='{EVIL} blur']").click()
    page.locator("#exceptions summary").click() if page.locator("#exceptions").count() else None
    assert page.evaluate("document.querySelectorAll('img, u, body b i, main script').length") == 0
    assert page.locator("#timeline text", has_text="evidence").count() == 1
    assert TRACK in page.evaluate("JSON.stringify(document.querySelector('#timeline').textContent)").replace('\\"', '"')
    assert found.outside(path.as_uri()) == found.complaints == []
    page.close()
