from __future__ import annotations

import pytest
import torch
from torch import Tensor

from attrib.errors import NotEnoughMemory
from attrib.runtime.memory import BatchSize
from attrib.testing import ToyModel, toy_subject


class Refusing:
    """Doubles numbers, and has memory for `fits` of them at once."""

    def __init__(self, fits: int) -> None:
        self.fits, self.tried = fits, list[int]()

    def __call__(self, part: slice) -> Tensor:
        self.tried.append(part.stop - part.start)
        if self.tried[-1] > self.fits:
            raise torch.OutOfMemoryError("no memory")
        return 2 * torch.arange(part.start, part.stop)


def test_it_is_halved_until_it_fits_and_stays_so() -> None:
    size, work = BatchSize(8), Refusing(3)
    assert torch.cat(list(size.run(7, work))).tolist() == [0, 2, 4, 6, 8, 10, 12]
    assert work.tried == [7, 3, 3, 1]
    assert size.size == 3
    list(size.run(4, work))
    assert work.tried[4:] == [3, 1]


def test_where_memory_suffices_it_is_left_alone() -> None:
    size, work = BatchSize(4), Refusing(4)
    assert torch.cat(list(size.run(9, work))).tolist() == list(range(0, 18, 2))
    assert work.tried == [4, 4, 1] and size.size == 4


def test_nothing_is_no_batch() -> None:
    assert list(BatchSize(4).run(0, Refusing(4))) == []


def test_a_single_item_that_does_not_fit_is_told() -> None:
    work = Refusing(0)
    with pytest.raises(torch.OutOfMemoryError):
        list(BatchSize(4).run(4, work))
    assert work.tried == [4, 2, 1]


def test_another_error_is_not_tried_again() -> None:
    tried = []

    def broken(part: slice) -> Tensor:
        tried.append(part)
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        list(BatchSize(4).run(4, broken))
    assert len(tried) == 1


class Small(ToyModel):
    """The toy model with memory for so many clips at once."""

    def __init__(self, fits: int) -> None:
        super().__init__()
        self.fits, self.seen = fits, list[int]()

    def encode(self, pixels: Tensor) -> Tensor:
        self.seen.append(len(pixels))
        if len(pixels) > self.fits:
            raise torch.OutOfMemoryError("no memory")
        return super().encode(pixels)


def test_a_subject_asks_about_as_many_clips_as_fit() -> None:
    subject, model = toy_subject(), Small(2)
    small = toy_subject(model)
    versions = torch.rand(7, *subject.pixels.shape, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(small.logprobs_of(7, versions.__getitem__), subject.logprobs_of(7, versions.__getitem__))
    assert model.seen == [1, 7, 3, 1, 1, 1, 1, 1, 1, 1]
    model.fits = 0
    with pytest.raises(NotEnoughMemory, match="asking the model: out of memory; fewer frames than 4"):
        small.logprobs_of(2, versions.__getitem__)
