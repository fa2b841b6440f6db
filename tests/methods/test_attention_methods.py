"""The attention methods on a made PerceptionLM against transformers' own eager attentions and autograd on them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import AutoModelForImageTextToText, AutoProcessor

from attrib import attention_record
from attrib.attention.method import AttentionMethod
from attrib.attention.statistics import high_activity
from attrib.methods.attention_gradient import AttentionGradient
from attrib.methods.attention_rollout import AttentionRollout
from attrib.methods.input_x_gradient import InputXGradient
from attrib.methods.legrad import LeGrad
from attrib.methods.raw_attention import RawAttention
from attrib.methods.relevance import Relevance
from attrib.models.families.perception_lm import PerceptionLM
from attrib.models.family_model import load_family
from attrib.models.prompting import option_prompt
from attrib.subject import Subject


@dataclass
class Eager:
    """Every layer's (heads, n, n) probabilities, the log-odds' gradients of them, and where the video stands."""

    maps: Tensor
    slopes: Tensor
    layer_slopes: Tensor  # the same of each layer's own score, read through the last norm and the head
    visual: Tensor  # bool (n,)

    def volume(self, row: Tensor, subject: Subject) -> Tensor:
        """The visual part of one row of an n x n matrix; 3 x 3 cells a frame, row-major."""
        return row[self.visual].reshape(len(subject.clip), 3, 3)


@pytest.fixture(scope="module")
def eager(checkpoint: Path, subject: Subject) -> Eager:
    """A second, plain copy of the network, prompted by the official processor and run eagerly."""
    processor = AutoProcessor.from_pretrained(checkpoint)
    content = [{"type": "video"}, {"type": "text", "text": option_prompt(subject.question)}]
    text = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
    video = torch.from_numpy(subject.clip.frames).permute(0, 3, 1, 2)
    inputs = processor(text=[text], videos=[video], do_sample_frames=False, return_tensors="pt",
                       add_special_tokens=False)  # fmt: skip
    network = AutoModelForImageTextToText.from_pretrained(checkpoint).eval()
    network.model.language_model.set_attn_implementation("eager")
    visual = inputs["input_ids"][0] == processor.video_token_id
    embedded = network.get_input_embeddings()(inputs["input_ids"]).detach().clone()
    features = network.model.get_image_features(inputs["pixel_values_videos"], return_dict=True)
    embedded[0, visual] = features.pooler_output.detach().reshape(-1, embedded.shape[-1])
    states: list[Tensor] = []
    for layer in network.model.language_model.layers:
        layer.register_forward_hook(lambda _, __, output: states.append(output[0, -1]))
    out = network.model.language_model(inputs_embeds=embedded.requires_grad_(), output_attentions=True)
    letters = [processor.tokenizer.convert_tokens_to_ids(letter) for letter in "ABC"]

    def read(state: Tensor) -> Tensor:
        logits = network.lm_head(network.model.language_model.norm(state))[letters]
        others = [option for option in range(3) if option != subject.option]
        return logits[subject.option] - torch.logsumexp(logits[others], 0)

    log_odds = read(states[-1])
    layer_slopes = [torch.autograd.grad(read(state), part, retain_graph=True)[0]
                    for state, part in zip(states, out.attentions, strict=True)]  # fmt: skip
    torch.testing.assert_close(log_odds.detach(), subject.score(subject.pixels[None])[0], rtol=1e-5, atol=1e-6)
    slopes = torch.autograd.grad(log_odds, out.attentions)
    return Eager(torch.cat(out.attentions).detach(), torch.cat(slopes), torch.cat(layer_slopes), visual)


def assert_equal(found: Tensor, expected: Tensor) -> None:
    assert found.shape == expected.shape
    scale = float(expected.abs().max())
    assert scale > 1e-8, "a reference of zeros tests nothing"
    torch.testing.assert_close(found.detach(), expected, rtol=1e-4, atol=1e-5 * scale)


def test_the_attention_is_worth_comparing(eager: Eager) -> None:
    assert eager.maps.shape[-1] > 256
    assert eager.maps.shape[:2] == (2, 4)
    assert float(eager.maps[:, :, -1].amax()) > 10 / eager.maps.shape[-1], "attention is close to uniform"


def test_raw_attention_equals_the_eager_attentions(eager: Eager, subject: Subject) -> None:
    answer = eager.maps[:, :, -1].flatten(0, 1)
    assert_equal(RawAttention().values(subject), eager.volume(answer.mean(0), subject))
    assert_equal(RawAttention(reduction="max").values(subject), eager.volume(answer.amax(0), subject))


def test_an_unknown_reduction_is_refused() -> None:
    with pytest.raises(ValueError, match="did you mean 'mean'"):
        RawAttention(reduction="meen")  # type: ignore[arg-type]


def test_rollout_equals_the_product_of_eager_attentions(eager: Eager, subject: Subject) -> None:
    eye = torch.eye(eager.maps.shape[-1])
    product = eye
    for probabilities in eager.maps.mean(1):
        product = (probabilities + eye) / 2 @ product
    assert_equal(AttentionRollout().values(subject), eager.volume(product[-1], subject))


def test_attention_gradient_equals_autograd_on_eager_attentions(eager: Eager, subject: Subject) -> None:
    weighted = (eager.maps * eager.slopes).clamp(min=0).mean(1).sum(0)
    assert_equal(AttentionGradient().values(subject), eager.volume(weighted[-1], subject))


def test_relevance_equals_the_recursion_on_eager_attentions(eager: Eager, subject: Subject) -> None:
    carried = torch.eye(eager.maps.shape[-1])
    for weighted in (eager.maps * eager.slopes).clamp(min=0).mean(1):
        carried = carried + weighted @ carried
    assert_equal(Relevance().values(subject), eager.volume(carried[-1], subject))


def test_legrad_equals_autograd_of_each_layers_score(eager: Eager, subject: Subject) -> None:
    assert not torch.allclose(eager.layer_slopes[0], eager.slopes[0])
    rows = eager.layer_slopes[:, :, -1].clamp(min=0)
    assert_equal(LeGrad().values(subject), eager.volume(rows.mean((0, 1)), subject))
    assert_equal(LeGrad(layers=(1,)).values(subject), eager.volume(rows[1].mean(0), subject))


@pytest.mark.parametrize("choice", [{"layers": (1,)}, {"heads": (0, 3)}, {"layers": (0,), "heads": (2,)}], ids=str)
def test_layers_and_heads_are_chosen(eager: Eager, subject: Subject, choice: dict[str, tuple[int, ...]]) -> None:
    layers, heads = list(choice.get("layers", (0, 1))), list(choice.get("heads", range(4)))
    answer = eager.maps[layers][:, heads, -1]
    assert_equal(RawAttention(**choice).values(subject), eager.volume(answer.mean((0, 1)), subject))
    weighted = (eager.maps * eager.slopes).clamp(min=0)[layers][:, heads, -1]
    assert_equal(AttentionGradient(**choice).values(subject), eager.volume(weighted.mean(1).sum(0), subject))


def test_only_layers_of_high_activity(eager: Eager, subject: Subject) -> None:
    """Case of two layers: the two layers the standard deviation reaches exactly to the higher one."""
    answer = eager.maps[:, :, -1]
    best = int(answer[..., eager.visual].sum(2).mean(1).argmax())
    assert_equal(RawAttention(active=True).values(subject), eager.volume(answer[best].mean(0), subject))


def test_high_activity_is_one_standard_deviation_above_the_mean() -> None:
    """Masses 1, 1, 1, 3, 4 of five layers: mean 2, standard deviation sqrt(1.6) = 1.26."""
    seen = torch.tensor([1.0, 1, 1, 3, 4])[:, None] + torch.tensor([-0.5, 0.5])
    assert high_activity(seen).tolist() == [False, False, False, False, True]
    assert high_activity(torch.ones(3, 2)).all()


METHODS = (RawAttention(), AttentionRollout(), AttentionGradient(), Relevance(), LeGrad())
GRADIENT = (AttentionGradient, Relevance)


@pytest.mark.parametrize("method", GRADIENT)
@pytest.mark.parametrize("settings", [{"checkpoint": False}, {"offload": True}, {"checkpoint": False, "offload": True}])
def test_what_is_kept_does_not_change_the_map(
    subject: Subject, method: type[AttentionGradient | Relevance], settings: dict[str, bool]
) -> None:
    torch.testing.assert_close(method(**settings).values(subject), method().values(subject), rtol=1e-5, atol=0)
    assert torch.equal(AttentionRollout(offload=True).values(subject), AttentionRollout().values(subject))


@pytest.mark.parametrize("method", METHODS, ids=lambda method: type(method).__name__)
def test_masked_sinks_receive_nothing(
    subject: Subject, method: AttentionMethod, monkeypatch: pytest.MonkeyPatch
) -> None:
    def some(hidden: Tensor, visual: Tensor) -> Tensor:
        found = torch.zeros(hidden.shape[:2], dtype=torch.bool)
        found[:, [0, int(visual[4]), int(visual[20])]] = True
        return found

    monkeypatch.setattr(attention_record, "sinks", some)
    kept, masked = (replace(method, sinks=sinks).values(subject).flatten() for sinks in ("keep", "mask"))
    assert (kept[[4, 20]] > 0).all()
    assert (masked[[4, 20]] == 0).all()
    if isinstance(method, RawAttention):
        assert torch.equal(masked[5:20], kept[5:20])


def positional(subject: Subject, layers: int) -> Tensor:
    """Rollout's answer row under uniform causal attention: a function of the positions alone."""
    length = len(subject.model._prompt(subject.question, None).ids)
    uniform = torch.ones(length, length, dtype=torch.float64).tril()
    step = (uniform / uniform.sum(1, keepdim=True) + torch.eye(length)) / 2
    return torch.linalg.matrix_power(step, layers)[-1]


def test_the_content_free_rollout_is_position_only_and_divided_out(checkpoint: Path, subject: Subject) -> None:
    """With queries of zero every token sees all before it alike: two videos give one map, that of the positions."""
    model = load_family(PerceptionLM, checkpoint)
    for layer in model.module.model.language_model.layers:
        layer.self_attn.q_proj.weight.zero_()
    other = replace(subject.clip, frames=255 - subject.clip.frames)
    one, two = (Subject.bind(model, clip, subject.question) for clip in (subject.clip, other))
    assert not torch.allclose(one.logprobs, two.logprobs)
    first = model._prompt(subject.question, None).visual[0]
    expected = positional(one, 2)[first : first + one.grid.tokens].float()
    for bound in (one, two):
        found = AttentionRollout().values(bound)
        torch.testing.assert_close(found.flatten(), expected, rtol=1e-5, atol=1e-9)
        assert (found.flatten().diff() < 0).all(), "earlier tokens collect more"
        divided = AttentionRollout(null="divided").values(bound)
        torch.testing.assert_close(divided, torch.ones_like(divided), rtol=1e-4, atol=0)


def test_divided_is_left_with_content(subject: Subject) -> None:
    """Non-uniform attention: division takes the position out and leaves the rest."""
    raw, divided = (AttentionRollout(null=null).values(subject).flatten().double() for null in ("raw", "divided"))
    first = subject.model._prompt(subject.question, None).visual[0]
    twin = positional(subject, 2)[first : first + subject.grid.tokens]
    torch.testing.assert_close(divided, raw / twin, rtol=1e-4, atol=1e-6)
    assert float(divided.std()) > 0.05


@pytest.mark.parametrize("method", [RawAttention(), AttentionGradient(), LeGrad()], ids=lambda m: type(m).__name__)
def test_divided_single_rows_are_in_units_of_even_attention(subject: Subject, method: AttentionMethod) -> None:
    """The answer's row sees every token, so for methods of one hop division changes the unit alone."""
    raw, divided = (replace(method, null=null).values(subject) for null in ("raw", "divided"))
    if isinstance(method, RawAttention):
        length = len(subject.model._prompt(subject.question, None).ids)
        torch.testing.assert_close(divided, raw * length)
    torch.testing.assert_close(divided / divided.sum(), raw / raw.sum())


@pytest.mark.parametrize("parameter", ["sinks", "null"])
def test_unknown_choices_are_refused(parameter: str) -> None:
    for method in METHODS:
        with pytest.raises(ValueError, match=f"{parameter}: unknown value 'wrong'"):
            replace(method, **{parameter: "wrong"})


def test_the_maps_differ(subject: Subject) -> None:
    """On two layers and four heads they are different quantities; equal maps would mean one stands for another."""
    maps = torch.stack([method.values(subject).detach().flatten() for method in METHODS])
    correlation = torch.corrcoef(maps)
    assert float(correlation.triu(1).abs().max()) < 0.999


def test_the_tower_runs_once_for_all_methods_that_start_from_visual_tokens(subject: Subject) -> None:
    """Asking the model, three methods, and gradients of tokens: each frame goes through the first block once."""
    blocks = subject.model.module.get_submodule("model.vision_tower.timm_model.blocks")
    frames: list[int] = []
    handle = blocks[0].register_forward_hook(lambda _, inputs, __: frames.append(len(inputs[0])))
    try:
        bound = Subject.bind(subject.model, subject.clip, subject.question)
        for method in (RawAttention(), AttentionRollout(), Relevance(), InputXGradient(space="tokens")):
            method.attribute(bound)
    finally:
        handle.remove()
    assert sum(frames) == len(subject.clip)
