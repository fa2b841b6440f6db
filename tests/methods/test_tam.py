"""Token activation maps against the paper's equations in loops, on transformers' own full logits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.ndimage import generic_filter
from transformers import AutoProcessor

from attrib import config
from attrib.capabilities import AnswersFreely, ReadsTokens, TokenLens, require
from attrib.errors import ConfigError, UnsupportedModel
from attrib.methods.tam import TAM, activation, filtered
from attrib.model import VideoModel
from attrib.models.prompting import option_prompt
from attrib.subject import Subject, Target
from attrib.testing import QUESTION, RED, ToyModel, toy_clip
from attrib.types import Question

Array = NDArray[np.float64]


def ranked(window: Array) -> float:
    """Equations 6 and 7 for one window, as they are written."""
    mean = window.mean()
    if mean == 0:
        return 0.0
    sigma = window.std() / mean
    middle = len(window) // 2
    weights = [np.exp(-((rank - middle) ** 2) / (2 * sigma**2)) for rank in range(len(window))]
    return float(np.dot(weights, sorted(window)) / sum(weights))


def by_hand(logits: Array, ids: list[int], visual: slice, words: slice, answer: slice) -> Array:
    """(tokens of the answer, visual tokens) by equations 1 to 5; logits (places, vocabulary) of the whole sequence."""
    places = [*range(words.start, words.stop), *range(answer.start, answer.stop)]
    maps = []
    for place in range(answer.start, answer.stop):
        own = np.maximum(logits[visual, ids[place]], 0)
        total, weight = np.zeros_like(own), 0.0
        for other in places:
            if other < place and ids[other] != ids[place]:
                relevance = max(logits[other, ids[place]], 0)
                total += relevance * np.maximum(logits[visual, ids[other]], 0)
                weight += relevance
        interference = total / weight
        scale = np.linalg.lstsq(interference[:, None], own, rcond=None)[0][0]
        maps.append(np.maximum(own - scale * interference, 0))
    return np.stack(maps)


def sequence(checkpoint: Path, subject: Subject, text: str) -> tuple[Array, list[int], slice, slice, slice]:
    """Full logits, ids, and where video, the user's words and the answer lie, by transformers and its processor."""
    processor: Any = AutoProcessor.from_pretrained(checkpoint)
    words = option_prompt(subject.question)
    content = [{"type": "video"}, {"type": "text", "text": words}]
    prompt = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
    video = torch.from_numpy(subject.clip.frames).permute(0, 3, 1, 2)
    inputs = processor(text=[prompt + text], videos=[video], do_sample_frames=False, return_tensors="pt",
                       add_special_tokens=False)  # fmt: skip
    with torch.no_grad():
        logits = subject.model.module(**inputs).logits[0].double().numpy()
    ids = inputs["input_ids"][0].tolist()
    start = ids.index(processor.video_token_id)
    stop = start + subject.grid.tokens
    count, said = (len(processor.tokenizer(each, add_special_tokens=False).input_ids) for each in (words, text))
    return logits, ids, slice(start, stop), slice(stop, stop + count), slice(len(ids) - said, len(ids))


def test_an_option_is_explained_by_its_text(checkpoint: Path, subject: Subject) -> None:
    text = subject.question.options[subject.option]
    expected = by_hand(*sequence(checkpoint, subject, text)).mean(axis=0).reshape(3, 3, 3)
    assert np.ptp(expected) > 1e-3
    np.testing.assert_allclose(TAM().values(subject), expected, rtol=1e-4, atol=1e-4)


def test_with_the_papers_filter(checkpoint: Path, subject: Subject) -> None:
    maps = by_hand(*sequence(checkpoint, subject, subject.question.options[subject.option])).reshape(-1, 3, 3, 3)
    expected = np.mean([[generic_filter(frame, ranked, 3, mode="mirror") for frame in each] for each in maps], axis=0)
    np.testing.assert_allclose(TAM(kernel=3).values(subject), expected, rtol=1e-4, atol=1e-4)


def test_words_of_a_free_answer(checkpoint: Path, subject: Subject) -> None:
    """Eleven byte tokens, "red" is 4, 5 and 6; the answer's own earlier tokens interfere."""
    question = Question(
        subject.question.text, reply=require(subject.model, AnswersFreely, "free answers").reply("the red cup")
    )
    asked = Subject.bind(subject.model, subject.clip, question, Target("answer", words=("red",)))
    expected = by_hand(*sequence(checkpoint, asked, "the red cup"))[4:7].mean(axis=0).reshape(3, 3, 3)
    np.testing.assert_allclose(TAM().values(asked), expected, rtol=1e-4, atol=1e-4)


def test_interference_is_taken_off_by_hand() -> None:
    """Maps (4, 0, 2) and (1, 1, -1), text logits 2 and 1 of the last token: s = 4/2, so (4, 0, 2) - 2 (1, 1, 0)."""
    visual = torch.tensor([[1.0, 7.0, 4.0], [1.0, 7.0, 0.0], [-1.0, 7.0, 2.0]])
    text = torch.tensor([[0.0, 0.0, 2.0], [0.0, 0.0, -1.0]])
    found = activation(TokenLens((5, 6, 8), 1, visual, text), 2)
    assert found.tolist() == [2, 0, 2]
    assert activation(TokenLens((8, 8, 8), 1, visual, text), 2).tolist() == [4, 0, 2]  # the same token thrice
    text[0, 2] = 0  # then no token speaks for the last
    assert activation(TokenLens((5, 6, 8), 1, visual, text), 2).tolist() == [4, 0, 2]


def test_the_filter_by_hand() -> None:
    """One token of nine: mean 1/9, sigma in ranks sqrt(8); the greatest rank, 4 from the middle, weighs exp(-1)."""
    frame = np.zeros((5, 5))
    frame[2, 2] = 1
    weights = np.exp(-(np.arange(-4, 5) ** 2) / 16)
    found = filtered(frame, 3)
    assert found[2, 2] == pytest.approx(weights[-1] / weights.sum()) == pytest.approx(found[1, 3])
    assert found[0, 0] == 0
    np.testing.assert_array_equal(filtered(np.full((2, 3), 0.7), 3), 0.7)
    np.testing.assert_array_equal(filtered(frame, 1), frame)


def test_the_toy_sees_the_evidence_for_the_explained_word_only() -> None:
    said = Question(QUESTION.text, reply=ToyModel().reply("green red"))
    maps = [TAM().values(Subject.bind(ToyModel(), toy_clip(), said, Target("answer", words=(word,))))
            for word in ("red", "green")]  # fmt: skip
    assert np.unravel_index(int(maps[0].argmax()), (4, 3, 4)) == RED
    assert float(maps[1][RED]) < float(maps[1].mean())


def test_a_model_whose_head_is_hidden_is_told() -> None:
    class Closed(VideoModel):
        module = encode = grid = preprocess = score_tokens = None  # type: ignore[assignment]
        name = "closed"

    with pytest.raises(UnsupportedModel, match="tam: model 'closed' does not expose its LM head"):
        require(Closed(), ReadsTokens, "tam")


@pytest.mark.parametrize("kernel", [0, 2])
def test_impossible_widths_are_refused(kernel: int) -> None:
    with pytest.raises(ConfigError, match=r"methods\.tam: kernel: expected"):
        config.build("methods", "tam", {"kernel": kernel})


def test_the_model_is_as_it_was(subject: Subject) -> None:
    before = subject.score(subject.pixels[None])
    TAM().attribute(replace(subject))
    assert torch.equal(subject.score(subject.pixels[None]), before)
