"""Blocks from the input up, each parameter once; random draws, and the weights given back to the last bit."""

from __future__ import annotations

from contextlib import nullcontext

import numpy as np
import pytest
import torch
from scipy.stats import kstest
from torch import nn

from attrib.models import load
from attrib.models.family import Tower
from attrib.models.family_model import FamilyModel
from attrib.models.randomising import parameter_blocks, randomised


@pytest.fixture(scope="module")
def model() -> FamilyModel:
    found = load("demo")
    assert isinstance(found, FamilyModel)
    return found


class Joined(nn.Module):
    """Network with a learnt token beside its tower and decoder."""

    def __init__(self) -> None:
        super().__init__()
        self.newline, self.head = nn.Parameter(torch.zeros(2)), nn.Linear(2, 5, bias=False)

    def get_output_embeddings(self) -> nn.Module:
        return self.head


def bits(module: nn.Module) -> dict[str, bytes]:
    return {name: value.numpy().tobytes() for name, value in module.state_dict().items()}


def test_blocks_go_from_the_input_up_and_hold_each_parameter_once(model: FamilyModel) -> None:
    blocks = model.parameter_blocks()
    layers = [f"blocks.{index}" for index in range(6)]
    assert list(blocks["vision"]) == ["embedding", *layers[:3], "projector"]  # its tower has no last norm
    assert list(blocks["language"]) == ["embedding", *layers, "head"]
    found = [id(each) for part in blocks.values() for block in part.values() for each in block]
    assert sorted(found) == sorted(id(each) for each in model.module.parameters())
    named = {id(each): name for name, each in model.module.named_parameters()}
    assert {named[id(each)].split(".")[-2:][0] for each in blocks["language"]["head"]} == {"norm", "lm_head"}
    assert all(".layers.2." in named[id(each)] for each in blocks["language"]["blocks.2"])
    assert all(".blocks.1." in named[id(each)] for each in blocks["vision"]["blocks.1"])


def test_a_weight_shared_with_the_head_belongs_to_the_embedding_and_a_norm_follows_its_layers() -> None:
    network, tower, decoder = Joined(), nn.Module(), nn.Module()
    tower.blocks, tower.norm, tower.patches = nn.ModuleList([nn.Linear(2, 2)]), nn.LayerNorm(2), nn.Linear(3, 2)
    words, norm = nn.Embedding(5, 2), nn.LayerNorm(2)
    decoder.layers, decoder.norm, decoder.words = nn.ModuleList([nn.Linear(2, 2)]), norm, words
    decoder.get_input_embeddings = lambda: words
    network.tower, network.decoder, network.projector = tower, decoder, nn.Linear(2, 2)
    network.head.weight = words.weight
    after = {"norm": tower.norm, "projector": network.projector}
    blocks = parameter_blocks(network, decoder, Tower(tower, list(tower.blocks), after))
    assert list(blocks["vision"]) == ["embedding", "blocks.0", "norm", "projector", "other"]
    assert [id(each) for each in blocks["vision"]["other"]] == [id(network.newline)]
    assert [id(each) for each in blocks["vision"]["embedding"]] == [id(each) for each in tower.patches.parameters()]
    assert [id(each) for each in blocks["language"]["embedding"]] == [id(words.weight)]
    assert [id(each) for each in blocks["language"]["head"]] == [id(norm.weight), id(norm.bias)]


@pytest.mark.parametrize("fails", [False, True])
def test_the_model_is_given_back_to_the_last_bit_also_after_an_error(model: FamilyModel, fails: bool) -> None:
    before, blocks = bits(model.module), model.parameter_blocks()
    caught = pytest.raises(ZeroDivisionError) if fails else nullcontext()
    with caught, randomised(blocks["vision"], 0), randomised(blocks["language"], 0):
        changed = [name for name, value in bits(model.module).items() if value != before[name]]
        assert set(changed) == {name for name, _ in model.module.named_parameters()}
        if fails:
            raise ZeroDivisionError
    assert bits(model.module) == before


def test_an_error_while_drawing_gives_back_what_was_already_drawn() -> None:
    first = nn.Parameter(torch.tensor([1.0, float("nan"), -0.0]))
    whole = nn.Parameter(torch.empty(2, device="meta"))  # holds no values that could be copied
    before = first.detach().numpy().tobytes()
    with pytest.raises(NotImplementedError), randomised({"a": [first, whole]}, 0):
        pass
    assert first.detach().numpy().tobytes() == before


def test_draws_are_normal_with_the_parameter_s_own_mean_and_deviation() -> None:
    values = torch.rand(100, 200, generator=torch.Generator().manual_seed(1)) * 6 + 10
    parameter, one = nn.Parameter(values.clone()), nn.Parameter(torch.tensor([3.5]))
    with randomised({"a": [parameter], "b": [one]}, "seed"):
        drawn = parameter.detach().numpy().ravel().astype(float)
        assert one.item() == 3.5  # its deviation is 0
    mean, std = float(values.mean()), float(np.std(values.numpy()))
    assert kstest((drawn - mean) / std, "norm").pvalue > 0.01
    assert abs(np.corrcoef(drawn, values.numpy().ravel())[0, 1]) < 0.03


def test_a_block_is_drawn_alike_alone_or_with_others_and_otherwise_by_seed_block_and_place() -> None:
    def draws(count: int, *seed: object) -> list[list[float]]:
        parameters = [nn.Parameter(torch.arange(4.0)) for _ in range(2 * count)]
        blocks = {f"b{index}": parameters[2 * index : 2 * index + 2] for index in range(count)}
        with randomised(blocks, *seed):
            return [each.tolist() for each in parameters]

    alone, together = draws(1, 0, "video"), draws(2, 0, "video")
    assert together[:2] == alone
    assert len({tuple(each) for each in (*together, *draws(2, 1, "video"), *draws(2, 0, "other"))}) == 12
    assert draws(2, 0, "video") == together


def test_the_type_stays_and_half_precision_is_given_back_too() -> None:
    parameter = nn.Parameter(torch.randn(50, generator=torch.Generator().manual_seed(0)).to(torch.bfloat16))
    before = parameter.detach().clone()
    with randomised({"a": [parameter]}, 0):
        assert parameter.dtype == torch.bfloat16 and not torch.equal(parameter, before)
    assert torch.equal(parameter, before)
