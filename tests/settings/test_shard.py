"""Which shard a process is, by hand and by the launcher's environment."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from attrib.errors import InputError
from attrib.settings.shard import Shard, parse_shard, refuse_unshared

SLURM = {"SLURM_ARRAY_TASK_ID": "7", "SLURM_ARRAY_TASK_COUNT": "4", "SLURM_ARRAY_TASK_MIN": "3",
         "SLURM_ARRAY_TASK_MAX": "9", "SLURM_ARRAY_TASK_STEP": "2"}  # fmt: skip
RANK = {"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1"}


def test_shards_share_everything_and_nothing_twice() -> None:
    items = [f"video_{number}" for number in range(11)]
    shares = [Shard(number, 4).of(items) for number in range(1, 5)]
    assert [len(share) for share in shares] == [3, 3, 3, 2]
    assert sorted(item for share in shares for item in share) == sorted(items)
    assert shares[1] == ["video_1", "video_5", "video_9"]
    assert [Shard(number, 20).of(items) for number in (11, 12)] == [["video_10"], []]


@pytest.mark.parametrize(
    ("text", "environment", "number", "count", "launched"),
    [
        ("3/8", {}, 3, 8, False),
        ("3/8", RANK, 3, 8, True),
        ("auto", {"SLURM_ARRAY_TASK_ID": "2", "SLURM_ARRAY_TASK_COUNT": "8", "SLURM_ARRAY_TASK_MIN": "1"}, 2, 8, False),
        ("auto", {"SLURM_ARRAY_TASK_ID": "0", "SLURM_ARRAY_TASK_COUNT": "8", "SLURM_ARRAY_TASK_MIN": "0"}, 1, 8, False),
        ("auto", SLURM, 3, 4, False),  # 3, 5, 7, 9
        ("auto", RANK, 2, 2, True),
        ("auto", {**SLURM, **RANK}, 6, 8, True),  # two ranks in each of four tasks
    ],
)
def test_forms(text: str, environment: Mapping[str, str], number: int, count: int, launched: bool) -> None:
    assert parse_shard(text, environment) == Shard(number, count, launched)


@pytest.mark.parametrize(
    ("text", "environment", "message"),
    [
        ("5/4", {}, "--shard 5/4: expected I/N with 1 <= I <= N, or auto, such as 4/4"),
        ("0/4", {}, "--shard 0/4: expected I/N"),
        ("1/0", {}, "--shard 1/0: expected I/N with 1 <= I <= N, or auto, such as 1/1"),
        ("1/100001", {}, "--shard 1/100001: expected I/N"),
        ("-1/4", {}, "--shard -1/4: expected I/N"),
        ("1", {}, "--shard 1: expected I/N"),
        ("\u0661/\u0664", {}, "expected I/N"),
        ("auto", {}, "--shard auto: expected SLURM_ARRAY_TASK_ID and SLURM_ARRAY_TASK_COUNT, or RANK and WORLD_SIZE"),
        ("auto", {**SLURM, "SLURM_ARRAY_TASK_COUNT": "3"}, "gaps (3 tasks from 3 to 9)"),
        ("auto", {"RANK": "one", "WORLD_SIZE": "2"}, "expected a number in RANK, got 'one'"),
        ("auto", {"RANK": "2", "WORLD_SIZE": "2"}, "--shard 3/2: expected I/N"),
    ],
)
def test_others_are_refused_in_one_line(text: str, environment: Mapping[str, str], message: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_shard(text, environment)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_several_whole_runs_at_once_are_refused_and_one_is_not() -> None:
    refuse_unshared({})
    refuse_unshared({"RANK": "0", "WORLD_SIZE": "1"})
    refuse_unshared(SLURM)  # an array may well run different configurations
    with pytest.raises(
        InputError, match=r"one of 2 processes \(WORLD_SIZE\) that would do the same work.+--shard auto"
    ):
        refuse_unshared(RANK)
