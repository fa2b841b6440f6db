"""Cache of what many metrics and many volumes need of one subject."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TypeVar, TypeVarTuple
from weakref import WeakKeyDictionary

from attrib.subject import Subject

MOST = 32  # annotations kept for each subject: pairing n videos with n would else fill the memory
T = TypeVar("T")
Ts = TypeVarTuple("Ts")


def per_subject(make: Callable[[Subject, *Ts], T]) -> Callable[[Subject, *Ts], T]:
    """`make`, whose last MOST results for a subject are kept as long as the subject is.

    Results are shared: they are not to be changed, and must not hold the subject.
    """
    known: WeakKeyDictionary[Subject, dict[tuple[*Ts], T]] = WeakKeyDictionary()

    @wraps(make)
    def kept(subject: Subject, *key: *Ts) -> T:
        found = known.setdefault(subject, {})
        if key not in found:
            made = make(subject, *key)
            if len(found) >= MOST:
                del found[next(iter(found))]
            found[key] = made
        return found[key]

    return kept
