from __future__ import annotations

import pytest

from attrib.runtime import notebook_bar
from attrib.runtime.notebook_bar import bar_html, in_notebook, with_bar
from attrib.runtime.progress import Progress, report_progress


def work(name: str, *, step: Progress | None = None) -> str:
    for done in range(3):
        report_progress(step, f"{name} {done}", done, 3)
    return name


def test_a_bar_says_how_far_the_work_is_and_escapes_names() -> None:
    assert bar_html("<b>", 2, 8) == "<progress value='2' max='8'></progress> 2 of 8: &lt;b&gt;"
    assert bar_html("loading", 0, 0) == "<progress></progress> loading"


def test_outside_notebooks_nothing_changes() -> None:
    assert not in_notebook()
    assert with_bar(work)("a") == "a"
    assert with_bar(work).__wrapped__ is work  # its signature and documentation stay


def test_a_notebook_gets_a_bar_unless_it_gives_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[object] = []

    class Bar:
        def __call__(self, *place: object) -> None:
            seen.append(place)

        def close(self) -> None:
            seen.append("closed")

    monkeypatch.setattr(notebook_bar, "in_notebook", lambda: True)
    monkeypatch.setattr(notebook_bar, "NotebookBar", Bar)
    assert with_bar(work)("a") == "a"
    assert seen == [("a 0", 0, 3), ("a 1", 1, 3), ("a 2", 2, 3), "closed"]
    own: list[object] = []
    with_bar(work)("b", step=lambda *place: own.append(place))
    assert len(own) == 3 and len(seen) == 4
    with pytest.raises(TypeError):
        with_bar(work)()  # type: ignore[call-arg]
