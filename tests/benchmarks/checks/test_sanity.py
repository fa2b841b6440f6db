"""Maps against those of random models: known answers on a model of two parameters, the controls on the real one."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from attrib.benchmarks.checks import sanity
from attrib.benchmarks.checks.rebind import fixed_target, similarity, with_clip, with_question
from attrib.benchmarks.checks.sanity import SanityRow, emprt, map_entropy, sanity_rows, stage_counts, verdicts
from attrib.benchmarks.perturb.cells import UndefinedError
from attrib.benchmarks.stats.resampling import Resampling
from attrib.capabilities import ModelPart, NamesBlocks
from attrib.errors import UnsupportedModel
from attrib.method import Method
from attrib.methods.grad_cam import GradCAM
from attrib.methods.motion import Motion
from attrib.methods.token_norm import TokenNorm
from attrib.methods.uniform import Uniform
from attrib.models import load
from attrib.models.randomising import Blocks, randomised
from attrib.subject import Subject, Target
from attrib.types import Clip, Question

from linear import QUESTION, LinearModel, sample_of, subject_of

GAINS = np.arange(1.0, 9).reshape(2, 2, 2)
WEIGHTS = np.array([3.0, 1, -2, 5, 8, -7, 2, 4]).reshape(2, 2, 2)


class Stacked(LinearModel, NamesBlocks):
    """f = sum of weight * gain * red: gains are the encoder's block, weights and an unused offset the decoder's."""

    def __init__(self) -> None:
        super().__init__(WEIGHTS)
        self._module.gain = nn.Parameter(torch.tensor(GAINS, dtype=torch.float32), requires_grad=False)
        self._module.offset = nn.Parameter(torch.tensor([0.0, 2.0]), requires_grad=False)

    def encode(self, pixels: Tensor) -> Tensor:
        return super().encode(pixels) * self._module.gain.flatten()[:, None]

    def parameter_blocks(self) -> dict[ModelPart, Blocks]:
        module = self._module
        return {"vision": {"gains": [module.gain]}, "language": {"weights": [module.weight], "offset": [module.offset]}}


@dataclass(frozen=True)
class Shows(Method):
    """The named parameter as a map; `seen` has what was explained and answered each time."""

    name: str

    def values(self, subject: Subject) -> Tensor:
        SEEN.append((subject.option, subject.predicted, float(subject.logprobs[0])))
        return getattr(subject.model.module, self.name) * 1.0


@dataclass(frozen=True)
class Breaks(Method):
    """Fails on any model but the learnt one."""

    def values(self, subject: Subject) -> Tensor:
        if not np.array_equal(subject.model.module.gain.numpy(), GAINS):
            raise ValueError("cannot")
        return torch.tensor(GAINS)


SEEN: list[tuple[int, int, float]] = []


@pytest.fixture
def subject() -> Subject:
    plain = subject_of(WEIGHTS, np.full((2, 2, 2), 100))
    bound = Subject.bind(Stacked(), plain.clip, QUESTION, Target())
    SEEN.clear()
    return replace(bound, sample=sample_of(), peers=(sample_of(),))


def rows_of(subject: Subject, stages: int = 2, **methods: Method) -> dict[str, list[SanityRow]]:
    maps = {label: method.attribute(subject, label) for label, method in methods.items()}
    return sanity_rows(subject, methods, maps, stages)


def drawn(subject: Subject, part: ModelPart, name: str) -> np.ndarray:
    """The values that a parameter gets when all of its part is made random."""
    assert isinstance(subject.model, Stacked)
    blocks = {f"{part}.{key}": block for key, block in subject.model.parameter_blocks()[part].items()}
    with randomised(blocks, subject.seed, "s"):
        return getattr(subject.model.module, name).numpy().astype(float).copy()


def ranked(values: np.ndarray) -> np.ndarray:
    return np.argsort(np.argsort(values.ravel())).astype(float)


def test_each_part_s_curve_is_the_rank_correlation_with_the_map_of_the_random_model(subject: Subject) -> None:
    found = rows_of(subject, weights=Shows("weight"), gains=Shows("gain"))
    similar = {
        label: {(row.part, row.randomised, row.blocks): row.value for row in rows if row.metric == "similarity"}
        for label, rows in found.items()
    }
    weight = np.corrcoef(ranked(WEIGHTS), ranked(drawn(subject, "language", "weight")))[0, 1]
    gain = np.corrcoef(ranked(GAINS), ranked(drawn(subject, "vision", "gain")))[0, 1]
    assert abs(weight) < 0.95 and abs(gain) < 0.95  # a random model's map is another
    assert similar["weights"] == pytest.approx({
        ("vision", 1, 1): 1, ("language", 1, 2): weight, ("language", 2, 2): weight, ("both", 2, 3): weight,
        ("both", 3, 3): weight,
    })  # fmt: skip
    assert similar["gains"] == pytest.approx({
        ("vision", 1, 1): gain, ("language", 1, 2): 1, ("language", 2, 2): 1, ("both", 2, 3): gain,
        ("both", 3, 3): gain,
    })  # fmt: skip


def test_what_was_explained_stays_and_the_answer_is_the_random_model_s(subject: Subject) -> None:
    option, predicted, before = subject.option, subject.predicted, float(subject.logprobs[0])
    for seed in range(6):
        rows_of(replace(subject, seed=seed), 4, weights=Shows("weight"))
    assert {seen[0] for seen in SEEN} == {option} and SEEN[0] == (option, predicted, before)
    assert any(seen[1] != option for seen in SEEN)  # some random model answers otherwise
    assert len({seen[2] for seen in SEEN}) > 3
    assert np.array_equal(subject.model.module.weight.numpy(), WEIGHTS)


def test_a_cascade_of_both_parts_begins_with_the_encoder_s_blocks(subject: Subject) -> None:
    rows = rows_of(subject, 3, gains=Shows("gain"), weights=Shows("weight"))
    first = {label: next(row for row in found if row.part == "both") for label, found in rows.items()}
    assert (first["gains"].randomised, first["weights"].randomised) == (1, 1)
    assert first["gains"].value is not None and first["gains"].value < 1 and first["weights"].value == 1


def test_emprt_is_of_the_model_that_is_random_throughout(subject: Subject) -> None:
    found = [row for row in rows_of(subject, 2, gains=Shows("gain"))["gains"] if row.metric == "emprt"]
    assert [(row.part, row.randomised) for row in found] == [("vision", 1), ("language", 2), ("both", 3)]
    random = drawn(subject, "vision", "gain").astype(np.float32)
    counts = np.bincount(
        np.minimum((random - random.min()) / np.ptp(random) * 32, 31).astype(int).ravel(), minlength=32
    )
    shares = counts[counts > 0] / 8
    expected = -(shares * np.log(shares)).sum() / np.log(8) - 1  # eight gains in eight bins
    assert found[0].value == pytest.approx(expected) and found[1].value == 0


def test_entropy_of_a_map_by_hand() -> None:
    values = np.array([0.0, 0, 0, 0, 0.5, 0.5, 1, 3.2])  # bins of a tenth: 4, 2, 1 and 1 of 8
    expected = 0.5 * np.log(2) + 0.25 * np.log(4) + 2 * 0.125 * np.log(8)
    assert map_entropy(values) == pytest.approx(expected)
    assert map_entropy(-7 * values + 2) == pytest.approx(expected)
    assert map_entropy(np.array([0.0, 0.05, 3.2])) == pytest.approx(np.log(3) - 2 / 3 * np.log(2))  # one bin of 32
    assert map_entropy(np.array([0.0, 0.15, 3.2])) == pytest.approx(np.log(3))  # but not the same one
    assert map_entropy(np.full(8, 1e-3) + np.arange(8) * 1e-10) == 0
    assert emprt(values, np.arange(8.0)) == pytest.approx((np.log(8) - expected) / expected)
    assert emprt(values, np.ones(8)) == -1
    assert emprt(np.ones(8), values) == "the map is the same everywhere"


def test_a_failure_is_recorded_and_the_others_go_on(subject: Subject) -> None:
    found = rows_of(subject, 1, breaks=Breaks(), weights=Shows("weight"))
    broken = {row.part: row for row in found["breaks"] if row.metric == "similarity"}
    assert broken["language"].value == 1 and broken["vision"].value is None
    assert broken["vision"].error.startswith("ValueError: cannot") and broken["both"].value is None
    assert all(row.value is not None for row in found["weights"])


def test_a_map_that_never_changes_is_as_like_as_can_be_and_a_constant_one_has_no_emprt(subject: Subject) -> None:
    rows = rows_of(subject, 1, uniform=Uniform())["uniform"]
    assert [row.value for row in rows if row.metric == "similarity"] == [1, 1, 1]
    assert {(row.value, row.reason) for row in rows if row.metric == "emprt"} == {
        (None, "the map is the same everywhere")
    }


def test_similarity_is_signed_and_undefined_where_a_map_becomes_constant() -> None:
    values = np.array([1.0, 2, 4, 8]).reshape(2, 2, 1)
    assert similarity(values, -(values**3)) == pytest.approx(-1)
    assert similarity(values, np.array([1.0, 4, 2, 8]).reshape(2, 2, 1)) == pytest.approx(0.8)  # 1 - 6 * 2 / (4 * 15)
    for pair in ((values, np.ones_like(values)), (np.ones_like(values), values)):
        with pytest.raises(UndefinedError, match="the same everywhere"):
            similarity(*pair)


@pytest.mark.parametrize(
    ("blocks", "stages", "expected"), [(7, 3, [3, 5, 7]), (2, 3, [1, 2]), (5, 1, [5]), (4, 4, [1, 2, 3, 4])]
)
def test_stages_are_even_steps_to_all_blocks(blocks: int, stages: int, expected: list[int]) -> None:
    assert stage_counts(blocks, stages) == expected


@pytest.mark.parametrize(
    ("target", "expected"),
    [("predicted", "option:0"), ("correct", "option:0"), ("option:1", "option:1"), ("contrast:1,0", "contrast:1,0")],
)
def test_targets_are_named(subject: Subject, target: str, expected: str) -> None:
    aimed = subject.aimed(Target.parse(target))
    assert str(fixed_target(aimed)) == expected
    dark = Clip(np.zeros_like(subject.clip.frames), subject.clip.times, subject.clip.end)
    again = with_clip(aimed, dark)
    assert (again.explained, again.others) == (aimed.explained, aimed.others)
    assert (again.sample, again.peers, again.seed) == (subject.sample, subject.peers, subject.seed)
    assert again.logprobs[0] == pytest.approx(np.log(0.5)) and not again.pixels.any()


def test_another_question_explains_what_the_model_answers_to_it(subject: Subject) -> None:
    other = Question("Is there none?", ("no", "yes"))
    found = with_question(subject.aimed(Target.parse("option:1")), other)
    assert found.question == other and str(found.target) == "predicted" and found.option == found.predicted
    assert found.sample is subject.sample and found.clip is subject.clip


def test_a_model_that_names_no_blocks_is_told() -> None:
    subject = subject_of(WEIGHTS)
    with pytest.raises(UnsupportedModel, match="sanity: model 'linear' does not name"):
        sanity_rows(subject, {}, {}, 1)


def table_of(rows: list[tuple[str, int, int, str, float | None]]) -> pd.DataFrame:
    columns = ["video", "randomised", "blocks", "metric", "value"]
    return pd.DataFrame(rows, columns=columns).assign(method="m", part="vision")


def similar(**last: float | None) -> pd.DataFrame:
    """Half of the blocks random: .8 in every video; all of them: as given."""
    return table_of([
        *((video, 1, 2, "similarity", 0.8) for video in last),
        *((video, 2, 2, "similarity", value) for video, value in last.items()),
        *((video, 2, 2, "emprt", 0.25) for video in last),
    ])  # fmt: skip


@pytest.mark.parametrize(
    ("last", "curve", "verdict"),
    [
        ({"a": 0.1, "b": 0.3, "c": -0.3}, "0.80 0.03", "pass"),
        ({"a": 0.1, "b": 0.3, "c": 0.6}, "0.80 0.33", "fail"),  # the interval reaches .6
        ({"a": -0.9, "b": 0.9, "c": 0.9}, "0.80 0.30", "fail"),  # upside down is no other picture
        ({"a": -0.9, "b": -0.9, "c": -0.9}, "0.80 -0.90", "fail"),
        ({"a": 0.5, "b": 0.5, "c": 0.5}, "0.80 0.50", "fail"),
        ({"a": 0.49, "b": 0.49, "c": 0.49}, "0.80 0.49", "pass"),
        ({"a": 0.1, "b": 0.1, "c": None}, "0.80 0.10", "undefined"),
        ({"a": None, "b": None}, "0.80 nan", "undefined"),
    ],
)
def test_the_verdict_asks_the_end_of_the_interval_when_all_is_random(
    last: dict[str, float | None], curve: str, verdict: str
) -> None:
    found = verdicts(similar(**last), Resampling(2000)).iloc[0]
    assert (found["curve"], found["verdict"], found["emprt"]) == (curve, verdict, 0.25)
    assert found["videos"] == sum(value is not None for value in last.values())


def test_of_the_real_model_what_does_not_look_at_it_fails_and_it_is_given_back() -> None:
    model = load("demo")
    before = {name: value.clone() for name, value in model.module.state_dict().items()}
    frames = np.random.default_rng(0).integers(0, 256, (2, 96, 96, 3), dtype=np.uint8)
    question = Question("How many cups are on the table?", ("2", "3", "4"))
    subject = Subject.bind(model, Clip(frames, np.arange(2) / 2, end=1.0), question)
    methods: dict[str, Method] = {"motion": Motion(), "token_norm": TokenNorm(), "grad_cam": GradCAM()}
    maps = {label: method.attribute(subject, label) for label, method in methods.items()}
    rows = sanity_rows(subject, methods, maps, 1)
    found = {
        (label, row.part): row.value for label in rows for row in rows[label] if row.metric == "similarity"
    }  # fmt: skip
    assert {found["motion", part] for part in sanity.PARTS} == {1}
    assert found["token_norm", "language"] == 1
    for changed in (found["token_norm", "vision"], found["grad_cam", "vision"], found["grad_cam", "both"]):
        assert changed is not None and changed < 0.9
    assert all(torch.equal(value, before[name]) for name, value in model.module.state_dict().items())
