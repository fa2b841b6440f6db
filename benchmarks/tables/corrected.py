"""Re-paired twins of metrics: the score minus what other videos' maps get on the same annotation, plus chance.

corrected = A(map_i, annotation_i) - mean_j A(map_j, annotation_i) + chance, where j are the same method's maps of other
videos of the task and length. Place cannot be taken out of a score within one video; this takes it out across videos:
any map that is the same in all of them gets exactly chance.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from attrib.benchmarks.jobs.roles import corrected_label
from attrib.config import Entry

DIGITS = 12  # rounding of the difference, so that equal scores cancel exactly
KEYS = ["sample", "method", "metric"]


def with_corrected(results: pd.DataFrame, nulls: pd.DataFrame | None, metrics: Sequence[Entry]) -> pd.DataFrame:
    """Return the results with a row LABEL_corrected after each row of a metric that states `corrected`.

    `nulls` (nulls.parquet) has the scores of other maps; metrics without any get no such rows. Earlier twins are
    replaced.
    """
    labels = {entry.label for entry in metrics if entry.item.corrected}
    earlier = results["metric"].isin({corrected_label(label) for label in labels})
    results = results[~earlier] if earlier.any() else results
    pairs = _pairs(nulls, labels)
    twins = results[results["metric"].isin(set(pairs["metric"]) if len(pairs) else ())]
    if twins.empty:
        return results
    others = pairs.groupby(["partner", "method", "metric"])["value"].mean().rename("others")
    others.index.names = KEYS
    value = twins["value"] - twins.join(others, on=KEYS)["others"] + twins["chance"]
    unpaired = value.isna() & twins["value"].notna()
    reason = twins["reason"].mask(unpaired, "no other video's map of this method is scored on this annotation")
    twins = twins.assign(
        metric=twins["metric"].map(corrected_label), value=value.round(DIGITS), reason=reason,
        chance=twins["chance"].mask(unpaired, np.nan),
    ).astype(results.dtypes)  # fmt: skip
    order = np.argsort(np.append(results.index, twins.index), kind="stable")
    columns = {  # one at a time, since the table may be large
        name: pd.concat([results[name], twins[name]], ignore_index=True).take(order).array for name in results
    }  # fmt: skip
    return pd.DataFrame(columns, copy=False)


def _pairs(nulls: pd.DataFrame | None, labels: set[str]) -> pd.DataFrame:
    """Return the defined scores of maps of other videos (`sample`) on the annotation of `partner`."""
    if nulls is None:
        return pd.DataFrame(columns=[*KEYS, "partner", "value"])
    return nulls[nulls["metric"].isin(labels) & (nulls["null"] == "pairing") & nulls["value"].notna()]
