"""Cache of results that many metrics and volumes need for the same subject."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TypeVar, TypeVarTuple
from weakref import WeakKeyDictionary

from attrib.subject import Subject

MOST = 32  # results cached per subject: pairing n videos with n would otherwise fill the memory
T = TypeVar("T")
Ts = TypeVarTuple("Ts")


def per_subject(make: Callable[[Subject, *Ts], T]) -> Callable[[Subject, *Ts], T]:
    """Wrap `make` so that its last MOST results for a subject are cached while the subject exists.

    Results are shared: callers must not change them, and they must not refer to the subject.
    """
    cache: WeakKeyDictionary[Subject, dict[tuple[*Ts], T]] = WeakKeyDictionary()

    @wraps(make)
    def cached(subject: Subject, *key: *Ts) -> T:
        results = cache.setdefault(subject, {})
        if key not in results:
            result = make(subject, *key)
            if len(results) >= MOST:
                del results[next(iter(results))]
            results[key] = result
        return results[key]

    return cached
