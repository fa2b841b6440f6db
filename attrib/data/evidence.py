"""Evidence of a question's answer, and the rule that determines it. The first rule that applies is used.

`exact`            evidence from `evidence_{split}.json`, known by construction of the video
`grounded`         answer tracks of the video's grounded question with the same id and text
`hiding object`    cup games, questions about the hidden object: answer of the grounded question about what occludes it
`label in option`  every track whose label occurs in the correct option (see `wording.labels_in`)
`label in question`  otherwise every track whose label occurs in the question
`action parents`   the objects of an action that the question or the correct option mentions, for as long as it lasts;
                   added to a label rule where both apply: `label in option + action parents`
`none`             no rule applies

Only the first two are annotated evidence. The others infer it, deterministically, but the result is exploratory: "the
cup" in a question about one of three cups names all three. State the rules beside any number that depends on them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from attrib.data import annotation
from attrib.data.wording import first_rule, mentions_action, words
from attrib.types import Evidence, Segment

RuleAndEvidence = tuple[str, tuple[Evidence, ...]]
Exact = Mapping[str, Sequence[annotation.ExactEvidence]]  # by question id


def evidence_of(
    item: annotation.MultipleChoice, video: annotation.Video, actions: Sequence[Segment], exact: Exact | None = None
) -> RuleAndEvidence:
    """Return the rule and the evidence of one question; `actions` are those of the video."""
    if exact is not None and str(item.id) in exact:
        return "exact", tuple(Evidence(e.track, e.start, e.end, e.role) for e in exact[str(item.id)])
    for rule, answers in (("grounded", _grounded(item, video)), ("hiding object", _hiding(item, video))):
        if answers:
            return rule, answers
    return _mentioned(item, video, actions)


def _grounded(item: annotation.MultipleChoice, video: annotation.Video) -> tuple[Evidence, ...]:
    same = (other for other in video.grounded_question if (other.id, other.question) == (item.id, item.question))
    return tuple(Evidence(track) for grounded in same for track in grounded.answers)


def _hiding(item: annotation.MultipleChoice, video: annotation.Video) -> tuple[Evidence, ...]:
    """Answer of the grounded question about what `occludes`, if the question is about the `hidden object`."""
    if not video.metadata.is_cup_game or "hidden object" not in " ".join(words(item.question)):
        return ()
    grounded = (other for other in video.grounded_question if "occludes" in words(other.question))
    return tuple(Evidence(track) for track in sorted({track for question in grounded for track in question.answers}))


def _mentioned(item: annotation.MultipleChoice, video: annotation.Video, actions: Sequence[Segment]) -> RuleAndEvidence:
    labels = [track.label for track in video.object_tracking]
    rule, named = first_rule(labels, (("label in option", item.right), ("label in question", item.question)))
    objects = tuple(Evidence(track.id) for track in video.object_tracking if track.label in named)
    others = {track.id for track in video.object_tracking}.difference(evidence.track for evidence in objects)
    parents = tuple(evidence for evidence in _parents(item, actions) if evidence.track in others)
    rules = [rule] * bool(objects) + ["action parents"] * bool(parents)
    return " + ".join(rules) or "none", (*objects, *parents)


def _parents(item: annotation.MultipleChoice, actions: Sequence[Segment]) -> Iterator[Evidence]:
    text = f"{item.question} {item.right}"
    for action in actions:
        if mentions_action(action.label, text):
            yield from (Evidence(parent, action.start, action.end) for parent in dict.fromkeys(action.parents))
