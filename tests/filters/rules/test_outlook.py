"""A probe that stops when it is decided: whatever solvers reply, the same rows are kept as when everything is asked."""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capcurriculum.recipe import Recipe, parse
from capcurriculum.recipe.filter_section import Phase, ProbeKey
from capcurriculum.rows import LETTERS, Answer, Outcome, Question
from datagen.undecided import Undecided, in_control, key_of
from filters.rules.panel import Panel, ProbeRule, still_open

QUESTION = Question("q", "perception", "P?", "A", ("w", "x", "y", "z"), "count", "i", "p", "c", "cid", "s", "l")
UNKNOWN = (Outcome.UNPARSED, Outcome.FAILED)
#: What a solver can reply: a letter, of which A is right, or nothing that can be read.
REPLIES = (*LETTERS, *UNKNOWN)
PERCEPTION: list[dict[str, Any]] = [
    {"mode": "all"},
    {"mode": "majority"},
    {"mode": "at_least", "at_least": 1},
    {"mode": "soft", "image_at_most": 0.4, "caption_at_least": 0.6},
    {"mode": "soft", "image_at_most": 1.0, "caption_at_least": 1.0},
    {"mode": "soft", "image_at_most": 0.0, "caption_at_least": 0.5},
]
OTHERS: list[dict[str, Any]] = [
    {"name": "blind", "solvers": "any", "action": "drop"},
    {"name": "blind", "solvers": "majority", "action": "drop"},
    {"name": "blind"},
    {"name": "swapped", "solvers": "all", "action": "drop"},
    {"name": "swapped", "solvers": "any"},
    {"name": "consistent", "solvers": "any"},
    {"name": "consistent", "solvers": "all", "arms": ["caption"]},
    {"name": "consistent", "solvers": "majority", "action": "label"},
    {"name": "agreed_other", "solvers": "all"},
    {"name": "agreed_other", "solvers": "majority"},
]


def recipe_of(solvers: int, other_order: bool, filters: Sequence[dict[str, Any]], control: float = 0.0) -> Recipe:
    names = ["one", "two", "three"][:solvers]
    return parse(
        {
            "name": "probing",
            "models": {name: {"engine": "transformers", "model": "micro:start"} for name in ("teacher", *names)},
            "perception": {
                "source": {"kind": "scenes", "items": 4},
                "teacher": {"model": "teacher"},
                "probe": {"solvers": names, "other_order": other_order, "control": control, "again": 0},
            },
            "rollouts": {"model": "one"},
            "filters": [*filters, "rollouts", "difficulty"],
        },
        "here",
    )


@st.composite
def recipes(draw: st.DrawFn) -> Recipe:
    solvers, other_order = draw(st.integers(1, 3)), draw(st.booleans())
    usable = [
        one
        for one in OTHERS
        if (other_order or one["name"] != "consistent")
        and (one["name"] != "agreed_other" or solvers * (1 + other_order) > 1)
    ]
    listed = draw(st.lists(st.sampled_from(usable), max_size=3, unique_by=lambda one: one["name"]))
    if draw(st.integers(0, 9)):
        listed.insert(draw(st.integers(0, len(listed))), {"name": "perception", **draw(st.sampled_from(PERCEPTION))})
    return recipe_of(solvers, other_order, listed)


def reply(key: ProbeKey, said: str) -> Answer:
    solver, arm, order = key
    known = said in LETTERS
    outcome = (Outcome.RIGHT if said == QUESTION.answer else Outcome.WRONG) if known else Outcome(said)
    letter = said if known else ""
    name = f"{solver}-{arm}-{order}"
    return Answer(name, "q", solver, "probe", arm, 0, "", letter, outcome, "stop", 1, 1, "d", order=order)


def kept(recipe: Recipe, answers: Sequence[Answer]) -> bool:
    """Whether all filters keep the question, by their verdicts alone."""
    return all(
        section.judge(QUESTION, answers, Panel.of(recipe.captioned["perception"].probe)).keep
        for section in recipe.filters
        if isinstance(section, ProbeRule) and section.action == "drop"
    )


def asked(recipe: Recipe, table: dict[ProbeKey, str]) -> Iterator[Answer]:
    """The replies that are asked for, one after the other."""
    undecided, answers = Undecided(recipe, "perception"), list[Answer]()
    while keys := undecided.needed(QUESTION, answers):
        answers.append(reply(keys[0], table[keys[0]]))
        yield answers[-1]


@given(recipes(), st.data())
def test_the_kept_set_is_that_of_asking_everything(recipe: Recipe, data: st.DataObject) -> None:
    keys = Undecided(recipe, "perception").keys
    table = {key: data.draw(st.sampled_from(REPLIES), label=str(key)) for key in keys}
    everything = [reply(key, said) for key, said in table.items()]
    answers = list(asked(recipe, table))
    assert kept(recipe, answers) == kept(recipe, everything)
    if kept(recipe, everything):
        assert {key_of(answer) for answer in answers} == set(keys), "labels of kept rows need all that is asked"


@given(recipes(), st.data())
def test_what_a_filter_calls_decided_is_what_it_says_whatever_comes(recipe: Recipe, data: st.DataObject) -> None:
    keys = Undecided(recipe, "perception").keys
    there = data.draw(st.lists(st.sampled_from(keys), unique=True))
    answers = [reply(key, data.draw(st.sampled_from(REPLIES))) for key in there]
    rest = [reply(key, data.draw(st.sampled_from(REPLIES))) for key in keys if key not in there]
    panel = Panel.of(recipe.captioned["perception"].probe)
    for section in recipe.filters:
        keep, still_needed = section.outlook(recipe, QUESTION, answers)
        assert not set(still_needed) & set(there)
        if isinstance(section, ProbeRule) and not still_needed:
            assert section.judge(QUESTION, [*answers, *rest], panel).keep == keep


@pytest.mark.parametrize("filters", [[{"name": "perception", **mode}] for mode in PERCEPTION])
def test_nothing_is_asked_that_cannot_change_the_verdict(filters: list[dict[str, Any]]) -> None:
    """Over all tables of two solvers: as long as something is needed, some replies would keep and others would drop."""
    recipe = recipe_of(2, False, filters)
    keys = [key for key in Undecided(recipe, "perception").keys if key[1] in ("image", "caption")]
    for known in itertools.product(("A", "B", None), repeat=len(keys)):
        answers = [reply(key, said) for key, said in zip(keys, known, strict=True) if said]
        section = next(one for one in recipe.filters if one.phase is Phase.PROBE)
        missing = section.outlook(recipe, QUESTION, answers)[1]
        if missing:
            tables = itertools.product("AB", repeat=len(missing))
            fates = {
                kept(recipe, [*answers, *(reply(k, said) for k, said in zip(missing, rest, strict=True))])
                for rest in tables
            }
            assert fates == {True, False}, (known, missing)


def test_unread_replies_leave_a_row_open() -> None:
    recipe = recipe_of(2, False, [{"name": "perception"}])
    unread = [reply(("one", "image", 0), "failed")]
    assert Undecided(recipe, "perception").needed(QUESTION, unread)[0] == ("two", "image", 0)


def test_a_question_in_control_is_asked_everything() -> None:
    recipe = recipe_of(2, True, [{"name": "perception"}], control=1.0)
    undecided = Undecided(recipe, "perception")
    answers = list(asked(recipe, dict.fromkeys(undecided.keys, "A")))
    assert len(answers) == len(undecided.keys) == 16


def test_control_is_the_share_that_it_says() -> None:
    drawn = sum(in_control(f"q{number}", 0.02) for number in range(20_000))
    assert 340 <= drawn <= 460  # 400, and three standard deviations
    assert not in_control("q", 0)
    assert in_control("q", 1)


@pytest.mark.parametrize(
    ("models", "order"),
    [
        ({"one": "org/Model-32B-Instruct", "two": "org/Model-7B"}, ("two", "one")),
        ({"one": "org/Model-32B-Instruct", "two": "org/Unsized"}, ("one", "two")),
    ],
)
def test_the_cheapest_solver_comes_first(models: dict[str, str], order: tuple[str, ...]) -> None:
    recipe = recipe_of(2, False, [])
    sized = {
        name: model.model_copy(update={"model": models.get(name, model.model)}) for name, model in recipe.models.items()
    }
    assert Undecided(recipe.model_copy(update={"models": sized}), "perception").solvers == order
    priced = {
        name: model.model_copy(update={"price_in": price, "price_out": price})
        for (name, model), price in zip(sized.items(), (1.0, 3.0, 2.0), strict=True)
    }
    assert Undecided(recipe.model_copy(update={"models": priced}), "perception").solvers == ("two", "one")


def test_a_quorum_is_open_as_long_as_unknown_solvers_can_make_it() -> None:
    assert still_open({"a": True, "b": None, "c": None}, 2) == ["b", "c"]
    assert still_open({"a": True, "b": True, "c": None}, 2) == []
    assert still_open({"a": False, "b": False, "c": None}, 2) == []
