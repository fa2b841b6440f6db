"""Saliency volumes and their provenance."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from attrib.errors import InputError
from attrib.runtime.files import writing
from attrib.runtime.parsing import complaint
from attrib.types.validation import FloatArray, check_times, require

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CANCELLED = 1e-12  # share of the map's largest absolute value; smaller cell means are rounding


@dataclass(frozen=True)
class Provenance:
    """Origin of a volume: everything needed to compute it again, and its cost."""

    method: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    model: str = ""
    revision: str | None = None
    dtype: str = ""
    seed: int = 0
    target: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    key: str = ""  # cache key of the volume in a run; empty outside runs
    seconds: float = 0.0
    peak_memory: int | None = None  # bytes; None if it could not be measured
    reports: Mapping[str, float] = field(default_factory=dict)  # figures of the method, e.g. completeness_error


_PROVENANCE = TypeAdapter(Provenance)


@dataclass(frozen=True, eq=False)
class SaliencyVolume:
    """Signed saliency float32 (t, h, w) over normalised frame coordinates, one slice per clip frame; times (t,) s.

    Positive values support the explained target. Values are as the method returned them; `positive` and `normalised`
    return changed copies. Raises InputError if values are not finite or shapes disagree.
    """

    values: NDArray[np.float32]
    times: NDArray[np.float64]
    provenance: Provenance

    def __post_init__(self) -> None:
        require(
            self.values.dtype == np.float32 and self.values.ndim == 3 and self.values.size > 0,
            f"volume: expected float32 values of shape (t, h, w), got {self.values.dtype} {self.values.shape}",
        )
        check_times(self.times, len(self.values), "volume")
        bad = int((~np.isfinite(self.values)).sum())
        require(bad == 0, f"volume: {bad} of {self.values.size} values are not finite")

    def _with(self, values: FloatArray) -> SaliencyVolume:
        return replace(self, values=np.ascontiguousarray(values, dtype=np.float32))

    def positive(self) -> SaliencyVolume:
        """Return a copy with negative values set to 0."""
        return self._with(np.maximum(self.values, 0))

    def normalised(self, percentile: float = 100.0) -> SaliencyVolume:
        """Return a copy divided by this percentile of the whole volume's absolute values and clipped to [-1, 1]."""
        scale = float(np.percentile(np.abs(self.values), percentile)) or float(np.abs(self.values).max())
        return self._with(np.clip(self.values / scale, -1, 1)) if scale > 0 else self

    def on_grid(self, rows: int, columns: int) -> SaliencyVolume:
        """Average over the cells of a rows x columns grid; a pixel across a border counts in both cells by its area.

        Means that cancel to 0 but for rounding are 0, so that cells without saliency tie.
        """
        values = self.values.astype(np.float64)
        means = np.einsum(
            "yh,thw,xw->tyx", area_weights(rows, values.shape[1]), values, area_weights(columns, values.shape[2])
        )  # fmt: skip
        return self._with(np.where(np.abs(means) < CANCELLED * np.abs(values).max(), 0, means))

    def plot(self) -> Figure:
        """Draw all slices with one colour scale, and the mean saliency over time, as a matplotlib figure."""
        from attrib.types.showing import plot  # matplotlib takes half a second to import

        return plot(self)

    def to_xarray(self) -> Any:
        """Return an xarray.DataArray by seconds and shares of the picture. Raises InputError without xarray."""
        from attrib.types.showing import to_xarray

        return to_xarray(self)

    def _repr_html_(self) -> str:
        from attrib.types.showing import html

        return html(self)

    def save(self, path: str | Path) -> None:
        """Write values, times and the provenance as JSON to an .npz (no pickle), atomically."""
        with writing(Path(path)) as temporary, temporary.open("wb") as file:
            np.savez_compressed(
                file,
                values=self.values,
                times=self.times,
                provenance=np.array(json.dumps(asdict(self.provenance), default=str)),
            )

    @staticmethod
    def load(path: str | Path) -> SaliencyVolume:
        """Read a file that `save` wrote. Raises InputError if it is missing, truncated or of another kind."""
        try:
            with np.load(path, allow_pickle=False) as data:
                provenance = _PROVENANCE.validate_json(str(data["provenance"]))
                return SaliencyVolume(data["values"], data["times"], provenance)
        except Exception as error:  # zip, zlib, NumPy and its header parser raise many types for a damaged file
            reason = complaint(error, "provenance") if isinstance(error, ValidationError) else error
            raise InputError(f"{path}: expected a saliency volume (.npz written by attrib): {reason}") from error


def area_weights(cells: int, pixels: int) -> NDArray[np.float64]:
    """Return (cells, pixels) weights of exact area averaging; rows sum to 1."""
    edges = np.linspace(0, pixels, cells + 1)
    start = np.arange(pixels)
    overlap = np.minimum(edges[1:, None], start + 1) - np.maximum(edges[:-1, None], start)
    weights = np.clip(overlap, 0, None)
    return weights / weights.sum(axis=1, keepdims=True)
