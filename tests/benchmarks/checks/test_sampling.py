"""Which samples are put beside which: other videos, the same whatever the order, as many of each task as of another."""

from __future__ import annotations

from pathlib import Path

import pytest

from attrib.benchmarks.checks.sampling import asks_otherwise, groups, partners, spread_out, swapped
from attrib.types import Question, Sample


def sample(video: str, task: str = "t", number: int = 0, options: tuple[str, ...] = ("a", "b")) -> Sample:
    return Sample(f"{video}_{number}", Path(f"{video}.mp4"), Question("What?", options), task)


SAMPLES = [sample(f"v{index}", "one" if index < 6 else "two") for index in range(9)]
FRAMES = {each.id: 8 for each in SAMPLES}


def names(samples: object) -> list[str]:
    assert isinstance(samples, (list, tuple))
    return [each.id for each in samples]


@pytest.mark.parametrize(("count", "one", "two"), [(1, 1, 0), (2, 1, 1), (4, 2, 2), (7, 4, 3), (99, 6, 3)])
def test_samples_are_spread_over_tasks_and_videos(count: int, one: int, two: int) -> None:
    twice = [*SAMPLES, *(sample(f"v{index}", "one", 1) for index in range(6))]
    found = spread_out(twice, count, 0)
    tasks = [each.task for each in found]
    assert len({each.video_id for each in found}) == len(found)
    assert count == 1 or (tasks.count("one"), tasks.count("two")) == (one, two)
    assert len(found) == one + two
    assert set(names(spread_out(twice[::-1], count, 0))) == set(names(found))


def test_the_seed_decides_which() -> None:
    assert len({tuple(names(spread_out(SAMPLES, 2, seed))) for seed in range(8)}) > 2
    assert len({tuple(names(groups(SAMPLES, FRAMES, seed)[0])) for seed in range(8)}) > 2


def test_groups_are_of_one_task_and_one_length() -> None:
    frames = {**FRAMES, "v0_0": 4, "v1_0": 4}
    del frames["v8_0"]
    found = {frozenset(names(group)) for group in groups(SAMPLES, frames, 0)}
    assert found == {
        frozenset({"v0_0", "v1_0"}), frozenset({"v2_0", "v3_0", "v4_0", "v5_0"}), frozenset({"v6_0", "v7_0"}),
    }  # fmt: skip
    assert [names(group) for group in groups(SAMPLES, FRAMES, 3)] != [names(SAMPLES[:6]), names(SAMPLES[6:])]
    assert {tuple(names(group)) for group in groups(SAMPLES[::-1], FRAMES, 3)} == {
        tuple(names(group)) for group in groups(SAMPLES, FRAMES, 3)
    }


def test_partners_follow_in_the_circle_and_are_of_other_videos() -> None:
    group = [*SAMPLES[:3], sample("v0", "one", 1), SAMPLES[3]]
    found = {name: names(each) for name, each in partners(group, 2).items()}
    assert found == {
        "v0_0": ["v1_0", "v2_0"], "v1_0": ["v2_0", "v0_1"], "v2_0": ["v0_1", "v3_0"], "v0_1": ["v3_0", "v1_0"],
        "v3_0": ["v0_0", "v1_0"],
    }  # fmt: skip
    assert {len(each) for each in partners(SAMPLES[:6], 99).values()} == {5}
    served = [name for each in partners(SAMPLES[:6], 3).values() for name in names(each)]
    assert {served.count(name) for name in served} == {3}


def test_a_swapped_video_is_another_of_the_same_length_and_of_the_same_task_where_there_is_one() -> None:
    for seed in range(12):
        found = swapped(SAMPLES[0], SAMPLES, FRAMES, seed)
        assert found is not None and found.task == "one" and found.video_id != "v0"
        other = swapped(SAMPLES[0], SAMPLES, {"v0_0": 4, "v7_0": 4, "v8_0": 8}, seed)
        assert other is not None and other.id == "v7_0"
    assert len({found.id for seed in range(12) if (found := swapped(SAMPLES[0], SAMPLES, FRAMES, seed))}) > 2
    assert swapped(SAMPLES[0], [SAMPLES[0], sample("v0", "one", 1)], {"v0_0": 8, "v0_1": 8}, 0) is None
    assert swapped(SAMPLES[0], SAMPLES, {"v0_0": 4}, 0) is None


def test_another_question_shares_no_option() -> None:
    asked = [sample("w0", options=("b", "c")), sample("w1", options=("c", "d")), sample("w2", options=())]
    found = asks_otherwise(sample("v"), asked, 0)
    assert found is not None and found.id == "w1_0"
    assert asks_otherwise(sample("v"), [asked[0], asked[2]], 0) is None
