"""Free answers on made checkpoints, of byte and of word tokens, against the plain transformers forward and generate."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from checkpoints import write_checkpoint
from transformers import AutoModelForImageTextToText, AutoProcessor

from attrib.attention_record import AttentionRecord
from attrib.errors import InputError
from attrib.models.families.perception_lm import PerceptionLM
from attrib.models.family_model import FamilyModel, load_family
from attrib.models.perception_lm_init import Shape, byte_tokenizer, word_tokenizer
from attrib.models.replying import generated
from attrib.subject import Subject, Target
from attrib.types import Clip, Question, Shot

FRAMES = 3
QUESTION = Question("What is on the table ?")
WORDS = ("What", "is", "on", "the", "table", "?", "a", "red", "cup", "and", "ball", ".", "system", "user", "assistant")
ANSWER = "a red cup and the ball."
TOKENIZERS = {"bytes": byte_tokenizer, "words": lambda: word_tokenizer(WORDS)}


@dataclass
class Plain:
    """The checkpoint through transformers alone: its processor's inputs for the question, its network and tokenizer."""

    network: Any
    tokenizer: Any
    inputs: dict[str, torch.Tensor]

    def logprobs(self, text: str) -> torch.Tensor:
        """Log-probability of each token of the text after the prompt, every one from the row before it."""
        said = self.tokenizer(text, add_special_tokens=False, return_tensors="pt").input_ids
        ids = torch.cat([self.inputs["input_ids"], said], dim=1)
        given = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        logits = self.network(**{**self.inputs, **given}).logits[0].detach()
        start = self.inputs["input_ids"].shape[1]
        rows = [logits[start + place - 1] for place in range(said.shape[1])]
        return torch.stack([torch.log_softmax(row, 0)[token] for row, token in zip(rows, said[0], strict=True)])


@pytest.fixture(scope="module", params=TOKENIZERS)
def checkpoint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoint")
    return write_checkpoint(folder, Shape(init_std=0.2), TOKENIZERS[request.param](), seed=5)


@pytest.fixture(scope="module")
def model(checkpoint: Path) -> FamilyModel:
    return load_family(PerceptionLM, checkpoint)


@pytest.fixture(scope="module")
def clip() -> Clip:
    frames = np.random.default_rng(1).integers(0, 256, (FRAMES, 60, 80, 3), dtype=np.uint8)
    return Clip(frames, np.arange(FRAMES) / 2, end=FRAMES / 2)


@pytest.fixture(scope="module")
def plain(checkpoint: Path, clip: Clip) -> Plain:
    processor = AutoProcessor.from_pretrained(checkpoint)
    content = [{"type": "video"}, {"type": "text", "text": QUESTION.text}]
    text = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
    video = torch.from_numpy(clip.frames).permute(0, 3, 1, 2)
    inputs = processor(text=[text], videos=[video], do_sample_frames=False, return_tensors="pt",
                       add_special_tokens=False)  # fmt: skip
    return Plain(AutoModelForImageTextToText.from_pretrained(checkpoint).eval(), processor.tokenizer, dict(inputs))


def bind(model: FamilyModel, clip: Clip, text: str = ANSWER, *words: str) -> Subject:
    return Subject.bind(model, clip, replace(QUESTION, reply=model.reply(text)), Target("answer", words=words))


@pytest.mark.parametrize("text", [ANSWER, "cup"])
def test_logprobs_equal_the_plain_forward(model: FamilyModel, clip: Clip, plain: Plain, text: str) -> None:
    subject, expected = bind(model, clip, text), plain.logprobs(text)
    assert len(expected) == 1 or float(expected.std()) > 0.1, "all alike would not tell the rows apart"
    torch.testing.assert_close(subject.logprobs, expected, atol=2e-5, rtol=0)
    for found in (subject.score(subject.pixels[None]),
                  subject.score_tokens(model.encode(subject.pixels[None]))):  # fmt: skip
        assert float(found) == pytest.approx(float(expected.mean()), abs=2e-5)
    assert float(subject.probability(subject.logprobs[None])) == pytest.approx(float(expected.mean().exp()), rel=1e-4)


def test_the_score_of_words_is_the_mean_over_their_tokens(model: FamilyModel, clip: Clip, plain: Plain) -> None:
    text = "the red cup and a red ball."
    spans = [(4, 7), (18, 21)]
    tokens = model.reply(text)
    touched = [i for i, (start, end) in enumerate(tokens.spans) if any(start < b and a < end for a, b in spans)]
    assert len(touched) == (6 if len(tokens.ids) == len(text) else 2)
    subject = bind(model, clip, text, "red")
    assert subject.explained == tuple(touched)
    expected = float(plain.logprobs(text)[touched].mean())
    assert float(subject.score(subject.pixels[None])) == pytest.approx(expected, abs=2e-5)
    assert subject.description == '"red" in "the red cup and a red ball."'


def test_offsets_say_which_characters_a_token_stands_for(model: FamilyModel) -> None:
    reply = model.reply(f"  {ANSWER}\n")
    assert reply.text == ANSWER
    by_byte = len(reply.ids) == len(ANSWER)
    assert reply.tokens == (tuple(ANSWER) if by_byte else ("a", "red", "cup", "and", "the", "ball", "."))
    assert not reply.generated


def test_the_models_own_answer_is_that_of_plain_generate(model: FamilyModel, clip: Clip, plain: Plain) -> None:
    pixels = model.preprocess(clip)
    found = model.generate(pixels, replace(QUESTION, shot=Shot.of(pixels, clip)))
    whole = plain.network.generate(**plain.inputs, do_sample=False, max_new_tokens=64)[0]
    ids = whole[plain.inputs["input_ids"].shape[1] :].tolist()
    end = plain.tokenizer.eos_token_id
    assert list(found.ids) == (ids[: ids.index(end)] if end in ids else ids)
    assert found.text == plain.tokenizer.decode(found.ids, skip_special_tokens=True)
    assert found.generated
    subject = Subject.bind(model, clip, replace(QUESTION, reply=found))
    first = torch.log_softmax(plain.network(**plain.inputs).logits[0, -1].detach(), 0)
    assert float(subject.logprobs[0]) == pytest.approx(float(first.max()), abs=2e-5), "greedy: the most probable token"


def test_generated_tokens_stand_for_what_they_add_to_the_text() -> None:
    tokenizer = byte_tokenizer()
    ids = tokenizer("un café !").input_ids
    reply = generated(tokenizer, ids)
    assert reply.text == "un café !"
    assert len(ids) == 10  # é is two bytes
    assert reply.spans == ((0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (5, 6), (6, 7), (6, 7), (7, 8), (8, 9))
    assert reply.token_indices(("café",)) == (3, 4, 5, 6, 7)


def test_nothing_said_is_refused() -> None:
    with pytest.raises(InputError, match="empty"):
        generated(byte_tokenizer(), [])


def test_answer_rows_are_the_rows_before_the_tokens(model: FamilyModel, clip: Clip) -> None:
    subject = bind(model, clip, ANSWER, "red", "ball")
    lengths: list[int] = []
    record = AttentionRecord(on_layer=lambda layer: lengths.append(layer.query.shape[2]), tokens=subject.tokens)
    with model.record_attention(record):
        during = subject.score(subject.pixels[None])
    assert torch.equal(during, subject.score(subject.pixels[None]))
    prompt, said = len(model._prompt(subject.question, None).ids), len(subject.logprobs)
    assert lengths == [prompt + said - 1] * 2  # the last token is never read
    assert record.answer_rows == tuple(range(prompt - 1, prompt - 1 + said))
    assert record.explained_rows == tuple(prompt - 1 + place for place in subject.explained)


def test_the_last_layers_states_read_out_are_the_answer(model: FamilyModel, clip: Clip) -> None:
    subject = bind(model, clip)
    states: list[torch.Tensor] = []
    with model.record_attention(AttentionRecord(on_state=states.append)), torch.no_grad():
        subject.score(subject.pixels[None])
    assert states[-1].shape[1] == len(subject.logprobs)
    torch.testing.assert_close(model.read_out(states[-1], subject.question)[0], subject.logprobs, atol=1e-5, rtol=0)
    assert not torch.allclose(model.read_out(states[0], subject.question)[0], subject.logprobs, atol=1e-2)


def test_a_batch_equals_one_by_one_and_dropped_tokens_are_not_seen(model: FamilyModel, clip: Clip) -> None:
    subject = bind(model, clip)
    pixels = torch.stack([subject.pixels, 1 - subject.pixels])
    alone = torch.cat([model.option_logprobs(one[None], subject.question) for one in pixels])
    torch.testing.assert_close(model.option_logprobs(pixels, subject.question), alone, atol=2e-5, rtol=0)
    tokens = model.encode(subject.pixels[None])
    keep = torch.arange(tokens.shape[1]) >= 4
    other = torch.cat([torch.randn_like(tokens[:, :4]), tokens[:, 4:]], dim=1)
    one, two = (model.score_tokens(part, subject.question, keep) for part in (tokens, other))
    assert one.shape == (1, len(subject.logprobs))
    assert torch.equal(one, two)


@pytest.mark.parametrize(("text", "message"), [(" ", "the text is empty"), ("a <|video|>", r"<\|video\|>")])
def test_answers_that_cannot_be_said_are_refused(model: FamilyModel, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        model.reply(text)
    assert "\n" not in str(caught.value)


def test_a_word_outside_of_the_vocabulary_is_refused(model: FamilyModel) -> None:
    if len(model.reply("cup").ids) == 3:
        assert model.reply("a giraffe").text == "a giraffe"  # bytes can say anything
        return
    with pytest.raises(InputError, match="'giraffe' is not in the model's vocabulary"):
        model.reply("a giraffe")
