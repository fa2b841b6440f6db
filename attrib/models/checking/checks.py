"""Checks of a checkpoint: what each measures, the limit that it must keep, and the verdict."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from attrib.errors import InputError, UnsupportedModel, failure_message
from attrib.models.checking import effects, equality
from attrib.models.checking.official import Case, OpaqueCase

Verdict = Literal["holds", "differs", "refused"]


@dataclass(frozen=True)
class ModelCheck:
    """A measure of a case and its limit: at most, or with `at_least` at least. `meaning`: the number's unit, in words.

    `half` is the limit in float16 and bfloat16, None where it is the same, and `half_meaning` the unit there. `whole`:
    measured on the whole clip, else on a short one. `opaque`: applies to a black box too.
    """

    name: str
    meaning: str
    measure: Callable[[Case], float]
    limit: float
    half: float | None = None
    half_meaning: str = ""
    at_least: bool = False
    whole: bool = False
    opaque: bool = False


@dataclass(frozen=True)
class CheckResult:
    """Outcome of a check; `value` is None where there is none, and `reason` then says why."""

    name: str
    meaning: str
    verdict: Verdict
    value: float | None
    limit: float
    at_least: bool
    reason: str = ""


OPAQUE = "it needs gradients, visual tokens or attention, which only a known family has"
SUM = "of the sum of all"
CHECKS = (
    ModelCheck("prompt ids", "unlike the processor's", equality.prompt_ids, 0, whole=True, opaque=True),
    ModelCheck(
        "log p of the options",
        "nats, to the plain forward",
        equality.option_logprobs,
        1e-5,
        0.05,
        whole=True,
        opaque=True,
    ),
    ModelCheck("attention rows", "of weight + .1, to eager", equality.attention_rows, 1e-4, 0.2, SUM),
    ModelCheck("rollout", "of value + 1 % of maximum", equality.rollout, 1e-3, 0.05, SUM),
    ModelCheck("relevance", "of value + 1 % of maximum", equality.relevance, 1e-3, 0.2, SUM),
    ModelCheck("gradient", "of central differences", effects.slope, 0.03),
    ModelCheck("cells", "share moving other tokens", effects.cells, 0.05),
    ModelCheck("batches", "nats, to clips one by one", effects.batches, 1e-5, 0.05),
    ModelCheck("dropped tokens", "nats, by noise in them", effects.dropped_tokens, 1e-5, 1e-2),
    ModelCheck("knock-out hides", "nats, by noise in tokens", effects.video_hidden, 1e-5, 1e-2),
    ModelCheck("knock-out changes", "nats, of the answer", effects.knockout_changes, 1e-3, at_least=True),
    ModelCheck("lrp shares", "of the log-odds, biases 0", effects.shares, 1e-3, 0.1),
    ModelCheck("generated ids", "unlike those of generate", equality.generated_ids, 0, opaque=True),
)


def compare(check: ModelCheck, case: Case) -> CheckResult:
    """Run one check. What the model or its parts cannot do is refused; any other error is a difference.

    Raises InputError for a clip that the official processor does not take.
    """
    limit = check.half if check.half is not None and case.rough else check.limit
    meaning = check.half_meaning if check.half_meaning and case.rough else check.meaning
    value, verdict, reason = None, "differs", ""
    try:
        if isinstance(case, OpaqueCase) and not check.opaque:
            raise UnsupportedModel(OPAQUE)
        value = check.measure(case)
        kept = value >= limit if check.at_least else value <= limit
        verdict = "holds" if kept and math.isfinite(value) else "differs"
    except UnsupportedModel as error:
        verdict, reason = "refused", str(error)
    except InputError:
        raise
    except Exception as error:  # a wrong adapter can fail anywhere
        reason = failure_message(error)
    return CheckResult(check.name, meaning, verdict, value, limit, check.at_least, reason)  # type: ignore[arg-type]
