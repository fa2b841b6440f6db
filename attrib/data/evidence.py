"""Evidence of a question's answer, and the rule that determines it. The first rule that fits counts.

`exact`            the evidence file names it, by construction of the video
`grounded`         the video's grounded question with the same id and text is answered by these tracks
`hiding object`    cup games, questions of the hidden object: the grounded question asks for the object that occludes
`label in option`  every track whose label stands in the right option (see `wording.named`)
`label in question`  else every track whose label stands in the question
`action parents`   the objects of an action whose label the question or the right option tells of, while it lasts;
                   together with the rule before where both fit: `label in option + action parents`
`none`             nothing of this fits

Only the first two are annotated evidence. The others are a reading of it, deterministic but exploratory: "the cup" in a
question about one of three cups names all three. Whoever reports a number states which rules it rests on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from attrib.data import annotation as given
from attrib.data.wording import first_named, told_of, words
from attrib.types import Evidence, Segment

Found = tuple[str, tuple[Evidence, ...]]  # the rule and what it gives
Exact = Mapping[str, Sequence[given.ExactEvidence]]  # by question id


def evidence_of(
    item: given.MultipleChoice, video: given.Video, actions: Sequence[Segment], exact: Exact | None = None
) -> Found:
    """The rule and the evidence of one question of a video whose actions are `actions`."""
    if exact is not None and str(item.id) in exact:
        return "exact", tuple(Evidence(part.track, part.start, part.end, part.role) for part in exact[str(item.id)])
    for rule, answers in (("grounded", _grounded(item, video)), ("hiding object", _hiding(item, video))):
        if answers:
            return rule, answers
    return _told(item, video, actions)


def _grounded(item: given.MultipleChoice, video: given.Video) -> tuple[Evidence, ...]:
    same = (found for found in video.grounded_question if (found.id, found.question) == (item.id, item.question))
    return tuple(Evidence(track) for found in same for track in found.answers)


def _hiding(item: given.MultipleChoice, video: given.Video) -> tuple[Evidence, ...]:
    """The question says `hidden object`, and the grounded one `occludes`."""
    if not video.metadata.is_cup_game or "hidden object" not in " ".join(words(item.question)):
        return ()
    asked = (found for found in video.grounded_question if "occludes" in words(found.question))
    return tuple(Evidence(track) for track in sorted({track for found in asked for track in found.answers}))


def _told(item: given.MultipleChoice, video: given.Video, actions: Sequence[Segment]) -> Found:
    labels = [track.label for track in video.object_tracking]
    rule, named = first_named(labels, (("label in option", item.right), ("label in question", item.question)))
    objects = tuple(Evidence(track.id) for track in video.object_tracking if track.label in named)
    known = {track.id for track in video.object_tracking}.difference(part.track for part in objects)
    parents = tuple(part for part in _parents(item, actions) if part.track in known)
    rules = [rule] * bool(objects) + ["action parents"] * bool(parents)
    return " + ".join(rules) or "none", (*objects, *parents)


def _parents(item: given.MultipleChoice, actions: Sequence[Segment]) -> Iterator[Evidence]:
    text = f"{item.question} {item.right}"
    for action in actions:
        if told_of(action.label, text):
            yield from (Evidence(parent, action.start, action.end) for parent in dict.fromkeys(action.parents))
