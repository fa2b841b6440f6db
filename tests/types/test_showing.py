"""What a volume shows of itself, read back from the figure, the array and the HTML."""

from __future__ import annotations

import base64
import builtins
import re
from typing import Any

import cv2
import numpy as np
import pytest
import xarray
from tags import Tags

from attrib.errors import InputError
from attrib.types import Provenance, SaliencyVolume

EVIL = "<script>alert('x')</script> \"quoted\" $a_b$"


def volume(frames: int = 3, sign: float = 1.0, method: str = "grad_cam") -> SaliencyVolume:
    """Slices 2 x 4 whose values rise with time, y and x; times are not even."""
    values = np.arange(frames * 8, dtype=np.float32).reshape(frames, 2, 4) * sign
    provenance = Provenance(method, {"layer": "last"}, target="option 1", model="demo", seed=3)
    return SaliencyVolume(values, np.arange(frames) ** 1.5, provenance)


def test_the_array_has_seconds_and_places_in_the_picture() -> None:
    array = volume().to_xarray()
    assert array.dims == ("time", "y", "x") and array.name == "saliency" and array.dtype == np.float32
    np.testing.assert_allclose(array["time"], [0, 1, 2**1.5])
    np.testing.assert_allclose(array["y"], [0.25, 0.75])
    np.testing.assert_allclose(array["x"], [0.125, 0.375, 0.625, 0.875])
    assert float(array.sel(time=0.9, x=0.4, y=0.8, method="nearest")) == volume().values[1, 1, 1]
    assert array.attrs["method"] == "grad_cam" and array.attrs["parameters"] == '{"layer": "last"}'
    assert array["time"].attrs["units"] == "s"
    np.testing.assert_allclose(array.mean(["y", "x"]), volume().values.mean(axis=(1, 2)))


def test_the_array_can_be_written_and_read(tmp_path: Any) -> None:
    """NetCDF takes numbers and texts as attributes, and no mapping."""
    array = volume().to_xarray()
    assert all(isinstance(value, str | int | float) for value in array.attrs.values())
    back = xarray.DataArray.from_dict(array.to_dict())
    xarray.testing.assert_identical(back, array)


def test_without_xarray_one_line_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def hidden(name: str, *rest: Any) -> Any:
        if name == "xarray":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", hidden)
    with pytest.raises(InputError) as caught:
        volume().to_xarray()
    assert str(caught.value) == "to_xarray needs xarray, which is not installed: pip install xarray"


def images(figure: Any) -> list[Any]:
    return [image for part in figure.subfigs for axes in part.axes for image in axes.get_images()]


def test_the_figure_draws_every_slice_on_one_scale() -> None:
    figure = volume().plot()
    drawn = images(figure)
    assert len(drawn) == 3
    for image, values in zip(drawn, volume().values, strict=True):
        np.testing.assert_array_equal(image.get_array(), values)
        assert image.get_clim() == (0, 23)
    titles = [axes.get_title() for axes in figure.subfigs[0].axes if axes.get_title()]
    assert titles == ["0.00 s", "1.00 s", "2.83 s"]
    (line,) = [line for line in figure.subfigs[1].axes[0].get_lines() if len(line.get_xdata()) == 3]
    np.testing.assert_allclose(line.get_ydata(), volume().values.mean(axis=(1, 2)))


def test_a_signed_map_has_zero_in_the_middle_of_its_colours() -> None:
    assert {image.get_clim() for image in images(volume(sign=-1.0).plot())} == {(-23, 23)}


def test_of_many_slices_the_figure_draws_32_and_says_so() -> None:
    figure = volume(100).plot()
    drawn = images(figure)
    assert len(drawn) == 32 and figure._suptitle.get_text() == "grad_cam  (32 of 100 frames)"
    np.testing.assert_array_equal(drawn[0].get_array(), volume(100).values[0])
    np.testing.assert_array_equal(drawn[-1].get_array(), volume(100).values[99])


def test_the_html_embeds_the_figure_and_escapes_texts() -> None:
    page = volume(method=EVIL)._repr_html_()
    tags = Tags(page)
    assert tags.names == ["figure", "img", "figcaption"]
    assert EVIL in tags.text and "3 x 2 x 4, option 1, demo" in tags.text
    (png,) = re.findall("base64,([^']+)'", page)
    picture = cv2.imdecode(np.frombuffer(base64.b64decode(png), np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape[1] == 1000 and len(page) < 2**20


def test_an_empty_and_a_single_slice_are_drawn() -> None:
    for values in (np.zeros((2, 2, 2)), np.ones((1, 1, 1))):
        flat = SaliencyVolume(values.astype(np.float32), np.arange(len(values), dtype=np.float64), Provenance("x"))
        assert "data:image/png" in flat._repr_html_()
