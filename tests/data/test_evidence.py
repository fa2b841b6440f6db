"""The rule by which a question's evidence is known, on annotations small enough to judge by eye."""

from __future__ import annotations

from typing import Any

import pytest

from attrib.data import annotation
from attrib.data.evidence import evidence_of
from attrib.data.wording import labels_in, mentions_action, stem
from attrib.types import Evidence, Segment

LABELS = {0: "water bottle", 1: "bottle", 2: "cup", 3: "cup", 4: "coffee-machine", 5: "box"}
QUESTION = {"id": 3, "question": "What is it?", "options": ["one", "two", "three"], "answer_id": 1}


def video(grounded: list[dict[str, Any]] | None = None, **metadata: Any) -> annotation.Video:
    tracks = [{"id": id, "label": label, "timestamps": [0], "bounding_boxes": [[0, 0, 1, 1]]}
              for id, label in LABELS.items()]  # fmt: skip
    return annotation.Video.model_validate(
        {"metadata": metadata, "object_tracking": tracks, "grounded_question": grounded or []}
    )


def asked(**changes: Any) -> annotation.MultipleChoice:
    return annotation.MultipleChoice.model_validate({**QUESTION, **changes})


def found(item: annotation.MultipleChoice, actions: tuple[Segment, ...] = (), **kinds: Any) -> tuple[str, list[int]]:
    rule, evidence = evidence_of(item, video(**kinds), actions)
    return rule, [part.track for part in evidence]


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("the water bottles", {"water bottle"}),  # the longer label has the word
        ("a bottle beside the water bottle", {"water bottle", "bottle"}),
        ("Water-Bottle", {"water bottle"}),
        ("bottle of water", {"bottle"}),  # in the order of the label
        ("the cups", {"cup"}),
        ("cupboard", set()),
        ("two boxes", {"box"}),
        ("the coffee machine", {"coffee-machine"}),
        ("", set()),
    ],
)
def test_labels_in_a_text(text: str, labels: set[str]) -> None:
    assert labels_in(LABELS.values(), text) == labels


def test_labels_that_say_nothing_name_nothing() -> None:
    assert labels_in(["a", "the", "", "A", "1"], "the person holds a letter A 1") == frozenset()


@pytest.mark.parametrize(
    ("one", "other"),
    [("putting", "put"), ("moves", "moving"), ("move", "moved"), ("lifting", "lifts"), ("passes", "passing"),
     ("pass", "passed"), ("spinning", "spin"), ("rolled", "rolling"), ("clapping", "claps")],
)  # fmt: skip
def test_forms_of_a_verb_share_a_stem(one: str, other: str) -> None:
    assert stem(one) == stem(other)


def test_other_words_do_not() -> None:
    words = ["put", "pull", "push", "move", "lift", "pass", "pour", "press", "spin", "roll", "clap", "cut"]
    assert len({stem(word) for word in words}) == len(words)


def test_an_action_is_told_of_by_its_content_words_alone() -> None:
    assert mentions_action("Putting something into something", "What did the person put into the bag?")
    assert not mentions_action("Putting something into something", "What did the person take?")
    assert not mentions_action("Clapping hands", "The person claps")
    assert not mentions_action("something", "something")


def test_exact_evidence_counts_before_all_else() -> None:
    parts = {"3": [annotation.ExactEvidence(track=1, start=0.5, end=1, role="context")]}
    same = [{"id": 3, "question": "What is it?", "answers": [2]}]
    assert evidence_of(asked(), video(same), (), parts) == ("exact", (Evidence(1, 0.5, 1.0, "context"),))
    assert evidence_of(asked(), video(same), (), {"3": []}) == ("exact", ())
    assert evidence_of(asked(), video(same), (), {"4": []})[0] == "grounded"


def test_a_grounded_question_counts_if_both_id_and_text_are_the_same() -> None:
    one = {"id": 3, "question": " What is it?", "answers": [2, 5]}
    assert found(asked(), grounded=[one]) == ("grounded", [2, 5])
    assert found(asked(), grounded=[{**one, "id": 4}]) == ("none", [])
    assert found(asked(), grounded=[{**one, "question": "What?"}]) == ("none", [])
    assert found(asked(question="Which cup?"), grounded=[{"id": 3, "question": "Which cup?", "answers": []}]) == (
        "label in question", [2, 3],
    )  # fmt: skip


def test_the_hidden_object_of_a_cup_game_is_under_what_occludes_it() -> None:
    track = {"id": 8, "question": "Track the object that occludes the smaller object.", "answers": [3]}
    where = asked(question="Where is the hidden object at the end of the game?")
    assert found(where, grounded=[track], is_cup_game=1) == ("hiding object", [3])
    assert found(where, grounded=[track], is_cup_game=0) == ("none", [])
    assert found(asked(question="How many objects are there?"), grounded=[track], is_cup_game=1) == ("none", [])
    other = {**track, "question": "Track the person."}
    assert found(where, grounded=[other], is_cup_game=1) == ("none", [])


def test_the_right_option_is_looked_at_before_the_question() -> None:
    item = {"question": "What is put beside the box?", "options": ["a bottle", "two cups", "nothing"]}
    assert found(asked(**item)) == ("label in option", [2, 3])  # a label that names two tracks gives both
    assert found(asked(**item, answer_id=0)) == ("label in option", [1])
    assert found(asked(**item, answer_id=2)) == ("label in question", [5])
    assert found(asked(**item, answer_id=None)) == ("label in question", [5])  # of a test video


def test_actions_give_their_parents_while_they_last() -> None:
    actions = (
        Segment("action", "Putting something into something", 2, 3, (2, 5)),
        Segment("action", "Lifting something", 4, 5, (0,)),
        Segment("action", "Putting something into something", 6, 7, (2, 77)),  # 77 is no track
        Segment("action", "Putting something into something", 8, 9),
    )
    item = asked(question="What is put into what?")
    assert evidence_of(item, video(), actions) == (
        "action parents", (Evidence(2, 2, 3), Evidence(5, 2, 3), Evidence(2, 6, 7)),
    )  # fmt: skip
    both = asked(question="What is put into the box?")
    assert evidence_of(both, video(), actions) == (
        "label in question + action parents", (Evidence(5), Evidence(2, 2, 3), Evidence(2, 6, 7)),
    )  # fmt: skip
    assert found(asked(question="Why?"), actions) == ("none", [])
