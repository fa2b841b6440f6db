"""The values that travel: what they refuse, and their views worked by hand."""

from __future__ import annotations

import dataclasses
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attrib.errors import InputError
from attrib.types import Clip, Evidence, PointTrack, Provenance, Question, SaliencyVolume, Sample, Segment, Track

MADE = Provenance(
    "grad_cam", {"layer": "last", "steps": 3}, "demo", "abc", "float32", 7, "option:1", {"torch": "2.15"}, "k", 1.5,
    1024, {"completeness_error": 0.25},
)  # fmt: skip

GOOD = np.array('{"method": "m"}')


def volume(values: Any, provenance: Provenance = MADE) -> SaliencyVolume:
    array = np.asarray(values, np.float32)
    return SaliencyVolume(array, np.arange(len(array)) / 4, provenance)


def track(times: list[float], boxes: list[list[float]]) -> Track:
    return Track(3, "cup", np.array(times), np.array(boxes, float).reshape(-1, 4), np.zeros(len(times), bool))


class TestClip:
    frames = np.zeros((2, 4, 5, 3), np.uint8)
    times = np.array([0.0, 0.5])

    def test_its_length_is_its_number_of_frames(self) -> None:
        assert len(Clip(self.frames, self.times, end=1.0)) == 2

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"frames": np.zeros((2, 4, 5, 3), np.float32)}, "expected uint8 frames .* got float32"),
            ({"frames": np.zeros((2, 4, 5), np.uint8)}, r"got uint8 \(2, 4, 5\)"),
            ({"frames": np.zeros((2, 4, 5, 4), np.uint8)}, r"got uint8 \(2, 4, 5, 4\)"),
            ({"frames": np.zeros((0, 4, 5, 3), np.uint8)}, r"got uint8 \(0, 4, 5, 3\)"),
            ({"times": np.array([0.0])}, r"expected 2 times, got an array of shape \(1,\)"),
            ({"times": np.array([0.5, 0.5])}, "must increase"),
            ({"times": np.array([0.5, 0.4])}, "must increase"),
            ({"times": np.array([0.0, np.nan])}, "must be finite"),
            ({"end": 0.5}, "end 0.5 s must be after"),
            ({"end": float("nan")}, "must be after"),
        ],
    )
    def test_refuses(self, changes: dict[str, Any], message: str) -> None:
        given: dict[str, Any] = {"frames": self.frames, "times": self.times, "end": 1.0, **changes}
        with pytest.raises(InputError, match=message):
            Clip(**given)


class TestQuestion:
    def test_letters_follow_the_options(self) -> None:
        assert Question("Why?", ("x", "y", "z")).letters == ("A", "B", "C")
        assert Question("Why?", tuple("abcdefghijklmnopqrstuvwxyz")).letters[-1] == "Z"

    @pytest.mark.parametrize(
        ("text", "options", "answer", "message"),
        [
            (" \n", ("a", "b"), None, "text is empty"),
            ("Why?", ("a",), None, "at least two options, got 1"),
            ("Why?", ("a",) * 27, None, "at most 26 options, got 27"),
            ("Why?", ("a", "b"), 2, r"answer 2 is not one of the options 0\.\.1"),
            ("Why?", ("a", "b"), -1, "answer -1"),
        ],
    )
    def test_refuses(self, text: str, options: tuple[str, ...], answer: int | None, message: str) -> None:
        with pytest.raises(InputError, match=message):
            Question(text, options, answer)


class TestTrack:
    moving = track([0, 1, 4], [[0, 0, 0.2, 0.2], [0.4, 0.2, 0.6, 0.4], [0.8, 0.6, 1, 0.8]])

    @pytest.mark.parametrize(
        ("time", "box"),
        [
            (0, [0, 0, 0.2, 0.2]),
            (0.25, [0.1, 0.05, 0.3, 0.25]),  # a quarter of the way
            (0.5, [0.2, 0.1, 0.4, 0.3]),
            (0.96, [0.4, 0.2, 0.6, 0.4]),  # within 50 ms of an annotation: that one
            (1.04, [0.4, 0.2, 0.6, 0.4]),
            (-0.04, [0, 0, 0.2, 0.2]),
            (4.04, [0.8, 0.6, 1, 0.8]),
            (-0.06, None),
            (4.06, None),
            (2.5, None),  # three seconds without annotation
            (1.06, None),
        ],
    )
    def test_the_box_at_a_time(self, time: float, box: list[float] | None) -> None:
        found = self.moving.at(time)
        if box is None:
            assert found is None
        else:
            np.testing.assert_allclose(found, box, atol=1e-12)

    def test_a_wider_gap_can_be_allowed(self) -> None:
        np.testing.assert_allclose(self.moving.at(2.5, gap=3), [0.6, 0.4, 0.8, 0.6], atol=1e-12)

    def test_a_track_without_boxes_is_nowhere(self) -> None:
        assert track([], []).at(0) is None

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"boxes": np.zeros((2, 3))}, r"track 3: expected boxes \(n, 4\), got \(2, 3\)"),
            ({"times": np.array([0.0])}, "expected 2 times"),
            ({"times": np.array([1.0, 0.0])}, "must increase"),
            ({"hidden": np.zeros(1, bool)}, "expected 2 hidden flags"),
            ({"boxes": np.full((2, 4), np.nan)}, "must be finite"),
            ({"boxes": np.array([[0, 0, 1, 1], [0.6, 0.5, 0.2, 0.9]])}, r"x1 <= x2 .*, got \[0.6, 0.5, 0.2, 0.9\]"),
            ({"boxes": np.array([[0, 0, 1, 1], [0, 0, 640, 480]])}, r"\[0, 1\], got \[0, 0, 640, 480\]"),
        ],
    )
    def test_refuses(self, changes: dict[str, Any], message: str) -> None:
        given: dict[str, Any] = {"times": np.array([0.0, 1.0]), "boxes": np.zeros((2, 4)),
                                 "hidden": np.zeros(2, bool), **changes}  # fmt: skip
        with pytest.raises(InputError, match=message):
            Track(3, "cup", **given)


def test_segments_are_half_open() -> None:
    segment = Segment("action", "lifting", 1.0, 2.0)
    assert segment.contains(np.array([0.99, 1.0, 1.99, 2.0])).tolist() == [False, True, True, False]
    with pytest.raises(InputError, match=r"sound 'clap': \[2.0, 2.0\) s is empty"):
        Segment("sound", "clap", 2.0, 2.0)


def test_context_is_no_evidence() -> None:
    evidence = (Evidence(1), Evidence(2, role="alternative"), Evidence(3, role="context"), Evidence(1, 2.0, 3.0))
    sample = Sample("s", Path("a/b/video_7.mp4"), Question("Why?", ("x", "y")), evidence=evidence)
    assert sample.evidence_tracks == {1, 2}
    assert sample.video_id == "video_7"


class TestVolume:
    @pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
    def test_what_is_not_finite_is_refused_and_counted(self, bad: float) -> None:
        values = np.zeros((2, 3, 4), np.float32)
        values[0, 1, 2] = values[1, 0, 0] = bad
        with pytest.raises(InputError, match="2 of 24 values are not finite"):
            volume(values)

    @pytest.mark.parametrize("values", [np.zeros((2, 3, 4)), np.zeros((3, 4), np.float32), np.zeros((0, 3, 4), "f4")])
    def test_other_types_and_shapes_are_refused(self, values: np.ndarray[Any, Any]) -> None:
        with pytest.raises(InputError, match=r"expected float32 values of shape \(t, h, w\)"):
            SaliencyVolume(values, np.arange(len(values)) / 4, MADE)

    def test_times_must_fit(self) -> None:
        with pytest.raises(InputError, match="expected 2 times"):
            SaliencyVolume(np.zeros((2, 3, 4), np.float32), np.arange(3) / 4, MADE)

    def test_views_by_hand(self) -> None:
        signed = volume([[[-4, 1]], [[2, 0]]])
        assert signed.positive().values.tolist() == [[[0, 1]], [[2, 0]]]
        assert signed.normalised().values.tolist() == [[[-1, 0.25]], [[0.5, 0]]]
        assert signed.values.tolist() == [[[-4, 1]], [[2, 0]]]
        assert signed.positive().provenance is MADE

    def test_normalising_is_over_the_whole_volume(self) -> None:
        """A frame with little saliency stays dim beside one with much."""
        assert volume([[[8.0]], [[2.0]]]).normalised().values.ravel().tolist() == [1, 0.25]

    def test_a_percentile_clips_what_lies_above(self) -> None:
        found = volume([[[-8.0, 1, 2, 4, 3]]]).normalised(50)  # the median of 1, 2, 3, 4, 8 is 3
        np.testing.assert_allclose(found.values, [[[-1, 1 / 3, 2 / 3, 1, 1]]], rtol=1e-6)

    def test_a_percentile_of_zero_falls_back_to_the_maximum(self) -> None:
        assert volume([[[0.0, 0, 0, 4, 2]]]).normalised(50).values.tolist() == [[[0, 0, 0, 1, 0.5]]]

    def test_nothing_stays_nothing(self) -> None:
        assert not volume(np.zeros((2, 3, 4))).normalised().values.any()


class TestOnGrid:
    def test_whole_cells_are_plain_means(self) -> None:
        values = np.arange(2 * 4 * 6, dtype=np.float32).reshape(2, 4, 6)
        expected = values.reshape(2, 2, 2, 3, 2).mean(axis=(2, 4))
        np.testing.assert_allclose(volume(values).on_grid(2, 3).values, expected, rtol=1e-6)

    def test_three_pixels_on_two_cells_share_the_middle_one(self) -> None:
        found = volume([[[3.0, 6, 9]]]).on_grid(1, 2).values
        np.testing.assert_allclose(found, [[[(3 + 6 / 2) / 1.5, (6 / 2 + 9) / 1.5]]], rtol=1e-6)

    def test_two_pixels_on_three_cells_mix_in_the_middle_one(self) -> None:
        np.testing.assert_allclose(volume([[[3.0, 9]]]).on_grid(1, 3).values, [[[3, 6, 9]]], rtol=1e-6)

    def test_rows_and_columns_are_not_swapped(self) -> None:
        found = volume([[[1.0, 2], [3, 4]]])
        np.testing.assert_allclose(found.on_grid(1, 2).values, [[[2, 3]]])
        np.testing.assert_allclose(found.on_grid(2, 1).values, [[[1.5], [3.5]]])

    @pytest.mark.parametrize("shape", [(5, 7), (3, 2), (1, 1), (32, 9), (6, 10)])
    def test_the_mean_is_kept_and_a_refined_grid_agrees(self, shape: tuple[int, int]) -> None:
        """Against repeating every pixel until the cells divide it, then plain means."""
        rows, columns = shape
        values = np.random.default_rng(0).standard_normal((2, 6, 10)).astype(np.float32)
        fine = values.repeat(rows, axis=1).repeat(columns, axis=2).astype(np.float64)
        expected = fine.reshape(2, rows, 6, columns, 10).mean(axis=(2, 4))
        found = volume(values).on_grid(rows, columns).values
        np.testing.assert_allclose(found, expected, atol=1e-6)
        np.testing.assert_allclose(found.mean(axis=(1, 2)), values.mean(axis=(1, 2)), atol=1e-6)


class TestFile:
    @pytest.fixture
    def saved(self, tmp_path: Path) -> Path:
        noise = np.random.default_rng(0).standard_normal((3, 16, 16)).astype(np.float32)
        volume(noise).save(tmp_path / "volume.npz")
        return tmp_path / "volume.npz"

    def test_it_comes_back_as_it_went(self, tmp_path: Path) -> None:
        original = volume(np.random.default_rng(0).standard_normal((3, 4, 5)))
        original.save(tmp_path / "deep" / "volume.npz")
        loaded = SaliencyVolume.load(tmp_path / "deep" / "volume.npz")
        assert np.array_equal(loaded.values, original.values)
        assert np.array_equal(loaded.times, original.times)
        assert loaded.provenance == MADE
        assert {field.name for field in dataclasses.fields(Provenance)} == set(dataclasses.asdict(loaded.provenance))

    def test_no_pickle_goes_in(self, saved: Path) -> None:
        with np.load(saved, allow_pickle=False) as data:
            assert {name: data[name].dtype.kind for name in data.files} == {
                "values": "f", "times": "f", "provenance": "U",
            }  # fmt: skip

    def test_no_pickle_comes_out(self, tmp_path: Path) -> None:
        np.savez(tmp_path / "evil.npz", values=np.array([object()], dtype=object), times=np.zeros(1),
                 provenance=np.array(json.dumps({"method": "m"})))  # fmt: skip
        with pytest.raises(InputError, match="expected a saliency volume"):
            SaliencyVolume.load(tmp_path / "evil.npz")

    def test_no_part_is_left_beside_it(self, saved: Path) -> None:
        assert [path.name for path in saved.parent.iterdir()] == ["volume.npz"]

    def test_cut_short_anywhere_is_one_clear_error(self, saved: Path) -> None:
        whole = saved.read_bytes()
        for length in (0, 1, 10, 100, len(whole) // 2, len(whole) - 30, len(whole) - 1):
            saved.write_bytes(whole[:length])
            with pytest.raises(InputError, match=r"volume\.npz: expected a saliency volume"):
                SaliencyVolume.load(saved)

    def test_a_flipped_byte_is_found_or_harmless(self, saved: Path) -> None:
        """Whatever byte of the file is damaged: the same volume, or InputError; never other values, never a crash."""
        whole = saved.read_bytes()
        original = SaliencyVolume.load(saved)
        refused = 0
        for place in range(0, len(whole), 7):
            saved.write_bytes(whole[:place] + bytes([whole[place] ^ 0x5A]) + whole[place + 1 :])
            try:
                loaded = SaliencyVolume.load(saved)
            except InputError:
                refused += 1
            else:
                assert np.array_equal(loaded.values, original.values), f"byte {place}"
                assert loaded.provenance == original.provenance, f"byte {place}"
        assert refused > len(whole) / 7 * 0.8

    @pytest.mark.parametrize(
        "parts",
        [
            {"times": np.zeros(1)},
            {"values": np.zeros((1, 1, 1), np.float32), "times": np.zeros(1, complex), "provenance": GOOD},
            {"values": np.zeros((1, 1, 1), np.float32), "times": np.array(["0"]), "provenance": GOOD},
            {
                "values": np.zeros((1, 1, 1), np.float32),
                "times": np.zeros(1),
                "provenance": np.array('{"method": "m", "reports": []}'),
            },
            {"values": np.zeros((1, 1, 1), np.float32), "times": np.zeros(1), "provenance": np.array("no json")},
            {"values": np.zeros((1, 1, 1), np.float32), "times": np.zeros(1), "provenance": np.array('{"a": 1}')},
            {"values": np.zeros((1, 1, 1), np.float32), "times": np.zeros(1), "provenance": np.array("[]")},
            {
                "values": np.full((1, 1, 1), np.nan, "f4"),
                "times": np.zeros(1),
                "provenance": np.array('{"method":"m"}'),
            },
        ],
        ids=[
            "parts missing",
            "complex times",
            "times as text",
            "reports no mapping",
            "no JSON",
            "other fields",
            "no mapping",
            "NaN",
        ],
    )
    def test_other_contents_are_refused(self, tmp_path: Path, parts: dict[str, np.ndarray[Any, Any]]) -> None:
        np.savez(tmp_path / "other.npz", **parts)  # type: ignore[arg-type]
        with pytest.raises(InputError, match=r"other\.npz: expected a saliency volume") as caught:
            SaliencyVolume.load(tmp_path / "other.npz")
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize(
        "header",
        [
            "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000, 1, 1)}",  # does not fit into memory
            "(" * 3000,  # ends the parser of headers
            "{'descr': '|O', 'fortran_order': False, 'shape': (1, 1, 1)}",
        ],
    )
    def test_headers_that_lie_are_refused(self, saved: Path, header: str) -> None:
        content = header.encode() + b" " * (63 - (10 + len(header)) % 64) + b"\n"
        start = b"\x93NUMPY\x01\x00" + len(content).to_bytes(2, "little")
        with zipfile.ZipFile(saved, "w") as file:
            file.writestr("provenance.npy", _npy(GOOD))
            file.writestr("values.npy", start + content + b"\0" * 64)
            file.writestr("times.npy", _npy(np.zeros(1)))
        with pytest.raises(InputError, match=r"volume\.npz: expected a saliency volume"):
            SaliencyVolume.load(saved)

    def test_other_files_are_refused(self, tmp_path: Path) -> None:
        (tmp_path / "text.npz").write_text("not a volume")
        np.save(tmp_path / "array.npy", np.zeros(3))
        with zipfile.ZipFile(tmp_path / "plain.npz", "w") as file:
            file.writestr("readme.txt", "hello")
        for name in ("text.npz", "array.npy", "plain.npz", "missing.npz"):
            with pytest.raises(InputError, match=name):
                SaliencyVolume.load(tmp_path / name)
        with pytest.raises(InputError):
            SaliencyVolume.load(tmp_path)


def _npy(array: np.ndarray[Any, Any]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def test_a_point_is_known_in_its_own_frames_alone() -> None:
    point = PointTrack(1, "corner", np.array([0.0, 1 / 30, 3 / 30]), np.array([[0.1, 0.2], [0.2, 0.3], [0.4, 0.5]]))
    assert point.at(0.01).tolist() == [0.1, 0.2]  # type: ignore[union-attr]
    assert point.at(1 / 30 + 0.015).tolist() == [0.2, 0.3]  # type: ignore[union-attr]
    assert point.at(2 / 30) is None  # occluded between two frames in which it is seen
    assert point.at(0.2) is None
    assert PointTrack(1, "", np.zeros(0), np.zeros((0, 2))).at(0) is None


@pytest.mark.parametrize(
    ("times", "xy", "message"),
    [
        ([0.0, 1.0], [[0, 0]], "expected 1 times"),
        ([1.0, 0.0], [[0, 0], [1, 1]], "increase strictly"),
        ([0.0], [[0, 0, 0]], r"expected xy \(n, 2\)"),
        ([0.0], [[0, np.nan]], "must be finite"),
    ],
)
def test_points_are_validated(times: list[float], xy: list[list[float]], message: str) -> None:
    with pytest.raises(InputError, match=message):
        PointTrack(4, "p", np.array(times), np.array(xy, np.float64))
