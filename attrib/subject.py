"""The scalar that is explained (Target), and one model bound to one clip, question and target (Subject)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from attrib.errors import InputError, nearest
from attrib.model import TokenGrid, VideoModel
from attrib.runtime.memory import BatchSize, fitting
from attrib.types import Clip, Question, Sample, Shot

if TYPE_CHECKING:
    from jaxtyping import Float

TargetKind = Literal["predicted", "correct", "option", "contrast", "answer"]
KINDS: tuple[TargetKind, ...] = ("predicted", "correct", "option", "contrast")  # of questions with options


@dataclass(frozen=True)
class Target:
    """Option to explain and the options to compare it with; or a free answer, or some of its words.

    `predicted`: the option that the model chooses; `correct`, `correct:K`: the right one (given by the annotation or by
    K); `option:K`: option K; each against all others. `contrast:I,J`: option I against option J alone. `answer`: all
    tokens of a free answer, or those of `words`.
    """

    kind: TargetKind = "predicted"
    options: tuple[int, ...] = ()
    words: tuple[str, ...] = ()

    @staticmethod
    def parse(text: str) -> Target:
        """Parse a target among options from `kind[:K[,J]]`. Raises InputError with the nearest valid kind."""
        kind, _, rest = text.partition(":")
        if kind not in KINDS:
            raise InputError(f"target {text!r}: unknown kind {kind!r}; {nearest(kind, KINDS)}")
        try:
            options = tuple(int(part) for part in rest.split(",")) if rest else ()
        except ValueError:
            raise InputError(f"target {text!r}: expected whole option numbers after {kind!r}, got {rest!r}") from None
        wanted = {"predicted": (0,), "correct": (0, 1), "option": (1,), "contrast": (2,)}[kind]
        if len(options) not in wanted or len(set(options)) != len(options):
            forms = "predicted, correct, correct:K, option:K or contrast:I,J"
            raise InputError(f"target {text!r}: expected one of the forms {forms}")
        return Target(KINDS[KINDS.index(kind)], options)

    def __str__(self) -> str:
        return self.kind + (":" + ",".join(map(str, self.options or self.words)) if self.options or self.words else "")

    def resolve(self, question: Question, predicted: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Indices of the explained option or tokens, and of the options that the explained one is compared with.

        Raises InputError if the target does not apply to the question.
        """
        if (question.reply is None) == (self.kind == "answer"):
            kind = "options" if question.options else "a free answer"
            raise InputError(f"target {self}: does not apply to a question with {kind}")
        if question.reply is not None:
            return question.reply.token_indices(self.words), ()
        option, others = self._resolved(question, predicted)
        return (option,), others

    def _resolved(self, question: Question, predicted: int) -> tuple[int, tuple[int, ...]]:
        count = len(question.options)
        for option in self.options:
            if not 0 <= option < count:
                raise InputError(f"target {self}: expected an option from 0 to {count - 1}, got {option}")
        if self.kind == "contrast":
            return self.options[0], (self.options[1],)
        if self.kind == "correct" and not self.options and question.answer is None:
            raise InputError("target correct: the right answer is not known; name it as correct:K")
        fallback = predicted if self.kind == "predicted" else question.answer
        chosen = self.options[0] if self.options else fallback
        assert chosen is not None  # only "correct" can lack it; the check above refuses that
        return chosen, tuple(option for option in range(count) if option != chosen)


@dataclass(eq=False)
class _Encoding:
    """Visual tokens of the pixels that a model encoded last; the subjects made from one subject share them."""

    model: VideoModel | None = None
    pixels: Tensor | None = None
    tokens: Tensor | None = None

    @torch.no_grad()
    def of(self, model: VideoModel, pixels: Tensor) -> Float[Tensor, "1 n d"]:
        if self.tokens is None or self.model is not model or self.pixels is not pixels:
            self.model, self.pixels, self.tokens = model, pixels, model.encode(pixels[None])
        return self.tokens

    @torch.no_grad()
    def answer(self, model: VideoModel, pixels: Tensor, question: Question) -> Float[Tensor, " o"]:
        if type(model).option_logprobs is VideoModel.option_logprobs:
            return model.score_tokens(self.of(model, pixels), question)[0].float()
        return model.option_logprobs(pixels[None], question)[0].float()


@dataclass(frozen=True, eq=False)
class Subject:
    """One model bound to one clip, one question and one target; the scalar that methods explain and metrics perturb.

    pixels (t, 3, h, w) are the model's own input for the clip; logprobs its answer to them: (o,) of the options or (k,)
    of a free answer's tokens. `explained` and `others` are indices into it. Built by `bind`. `sample` is the annotated
    sample, for methods that need one; None without annotation. `peers` are the samples of the data set's other videos.
    `encoding` keeps the visual tokens for `visual`.
    """

    model: VideoModel
    clip: Clip
    question: Question
    target: Target
    seed: int
    pixels: Tensor
    logprobs: Tensor
    explained: tuple[int, ...]
    others: tuple[int, ...]
    sample: Sample | None = None
    peers: tuple[Sample, ...] = ()
    encoding: _Encoding = field(default_factory=_Encoding, repr=False)

    @staticmethod
    def bind(model: VideoModel, clip: Clip, question: Question, target: Target | None = None, seed: int = 0) -> Subject:
        """Run the model once and resolve the target: by default the option it chooses, or the free answer.

        Raises InputError for a target that does not exist, and for a question with neither options nor answer.
        """
        if not question.options and question.reply is None:
            raise InputError("question: expected options, or a free answer to explain; got neither")
        target = target or Target("answer" if question.reply else "predicted")
        pixels = model.preprocess(clip)
        question = replace(question, shot=Shot.of(pixels, clip))
        encoding = _Encoding()
        with fitting(model.dtype, "asking the model", len(clip)):
            logprobs = encoding.answer(model, pixels, question)
        explained, others = target.resolve(question, int(logprobs.argmax()))
        return Subject(
            model, clip, question, target, seed, pixels, logprobs, explained, others, encoding=encoding
        )  # fmt: skip

    @property
    def predicted(self) -> int:
        """Index of the option that the model chooses. Raises InputError for a free answer."""
        self._require_options()
        return int(self.logprobs.argmax())

    @property
    def option(self) -> int:
        """Index of the explained option. Raises InputError for a free answer."""
        self._require_options()
        return self.explained[0]

    @property
    def rival(self) -> int:
        """Index of the most probable option among `others`. Raises InputError as `option`."""
        self._require_options()
        return max(self.others, key=lambda option: float(self.logprobs[option]))

    def _require_options(self) -> None:
        if not self.question.options:
            raise InputError("a free answer is not one of several options: only multiple choice has a chosen one")

    @property
    def tokens(self) -> tuple[int, ...]:
        """Indices of the explained tokens in the model's answer; the letter of an option is a single token."""
        return self.explained if self.question.reply else (0,)

    def towards(self, option: int) -> Subject:
        """Return this subject with `option` explained, against all others."""
        return self.aimed(Target("option", (option,)))

    def aimed(self, target: Target) -> Subject:
        """Return this subject with another target. Raises InputError for a target that does not exist."""
        explained, others = target.resolve(self.question, int(self.logprobs.argmax()))
        return replace(self, target=target, explained=explained, others=others)

    def asked(self, text: str) -> Subject:
        """Return this subject under a question of another text, with the model's answer to it; the target stays."""
        question = replace(self.question, text=text)
        return replace(self, question=question, logprobs=self.encoding.answer(self.model, self.pixels, question))

    @property
    def visual(self) -> Float[Tensor, "1 n d"]:
        """Visual tokens without gradients, not to be changed in place; encoded once for the clip's subjects.

        They are freed with these subjects: 64 MiB for 32 frames of 256 tokens with 4,096 channels in bfloat16.
        """
        return self.encoding.of(self.model, self.pixels)

    @property
    def grid(self) -> TokenGrid:
        """Token grid of the model for this clip."""
        return self.model.grid(self.shot)

    @property
    def shot(self) -> Shot:
        """Size of the model's input and times of the clip's frames."""
        return self.question.shot or Shot.of(self.pixels, self.clip)

    @property
    def description(self) -> str:
        """Explained answer in words: `B. red`, with `against A. blue` for a contrast; `"cup" in "a red cup"`."""
        if self.question.reply is not None:
            chosen = " and ".join(f'"{word}"' for word in self.target.words)
            return (f"{chosen} in " if chosen else "") + f'"{self.question.reply.text}"'
        words = [f"{letter}. {text}" for letter, text in zip(self.question.letters, self.question.options, strict=True)]
        against = f" against {words[self.others[0]]}" if self.target.kind == "contrast" else ""
        return words[self.option] + against

    def log_odds(self, logprobs: Float[Tensor, "b o"]) -> Float[Tensor, " b"]:
        """Explained scalar in nats: log p(option) - log sum of p(others), or the mean log p(token) of an answer.

        A free answer has no rivals: its log p are over the whole vocabulary.
        """
        explained = logprobs[:, list(self.explained)].mean(dim=1)
        return explained - torch.logsumexp(logprobs[:, list(self.others)], dim=1) if self.others else explained

    def probability(self, logprobs: Float[Tensor, "b o"]) -> Float[Tensor, " b"]:
        """p(option), or the geometric mean of p(token) over the explained tokens; in [0, 1]."""
        return logprobs[:, list(self.explained)].mean(dim=1).exp()

    def score(self, pixels: Float[Tensor, "b t 3 h w"]) -> Float[Tensor, " b"]:
        """Explained scalar for each of b versions of the clip; differentiable."""
        return self.log_odds(self.model.option_logprobs(pixels, self.question))

    def score_tokens(self, tokens: Float[Tensor, "b n d"]) -> Float[Tensor, " b"]:
        """Explained scalar from visual tokens; differentiable."""
        return self.log_odds(self.model.score_tokens(tokens, self.question))

    @torch.no_grad()
    def logprobs_of(self, count: int, version: Callable[[int], Tensor], size: int = 8) -> Float[Tensor, "count o"]:
        """Log-probabilities of `count` versions of the clip; `version(i)` builds one (t, 3, h, w).

        Runs at most `size` versions at once, and halves that when memory is short.
        """

        def answered(chunk: slice) -> Tensor:
            pixels = torch.stack([version(i) for i in range(chunk.start, chunk.stop)])
            return self.model.option_logprobs(pixels, self.question).float()

        with fitting(self.model.dtype, "asking the model", len(self.clip)):
            return torch.cat([self.logprobs.new_empty(0, len(self.logprobs)), *BatchSize(size).run(count, answered)])
