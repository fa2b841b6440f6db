"""Selection by names."""

from __future__ import annotations

import hashlib

from attrib.runtime.selection import is_selected

NAMES = [f"video_{number}_0" for number in range(2000)]


def selected(share: float) -> set[str]:
    return {name for name in NAMES if is_selected(name, share)}


def test_a_share_holds_about_its_part_and_every_smaller_share() -> None:
    tenth, quarter = selected(0.1), selected(0.25)
    assert 160 < len(tenth) < 240 and 430 < len(quarter) < 570
    assert tenth < quarter and not selected(0) and selected(1) == set(NAMES)


def test_the_selection_is_the_hash_written_out() -> None:
    """The leading 4 hexadecimal digits of 16: a name is in the quarter if the first is below 4."""
    first = {name: hashlib.blake2b(name.encode(), digest_size=8).hexdigest()[0] for name in NAMES}
    assert selected(0.25) == {name for name, digit in first.items() if digit in "0123"}


def test_names_that_are_no_text_are_selected_too() -> None:
    assert is_selected("clip\udcff", 1)
