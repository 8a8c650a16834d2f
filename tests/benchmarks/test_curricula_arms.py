"""The rows of the comparison, and the orders in which its arms teach them."""

from collections import Counter
from collections.abc import Mapping
from functools import cache

import pytest

from benchmarks.curricula_arms import ARMS, FIRST, sets
from benchmarks.curricula_rows import STAGES, Task, rows
from datagen.micro import questions
from datagen.micro.scenes import COLOURS, NUMBERS, SHAPES

FEW = {"train": 40, "curve": 20, "final": 30}


@cache
def made(version: str) -> dict[str, dict[str, list[Task]]]:
    return rows(version, FEW)


def taught_rows() -> dict[str, list[Task]]:
    return made("needs")["train"]


def every(of: Mapping[str, Mapping[str, list[Task]]]) -> list[Task]:
    return [task for split in of.values() for tasks in split.values() for task in tasks]


def counted(task: Task, words: str) -> int:
    """How many objects of the scene the problem's words name."""
    assert task.scene
    (word,) = [word for word in COLOURS + SHAPES if words.startswith(word) or words.startswith(questions.noun(word))]
    return len(questions.group(task.scene.things, word))


def truth(task: Task) -> int:
    """The answer of a visual problem, from its words and its scene."""
    assert task.scene
    words = task.base
    if words.startswith("Remove all "):
        return len(task.scene.things) - counted(task, words.removeprefix("Remove all "))
    if words.startswith("Add "):
        _, number, named = words.split(" ", 2)
        return int(number) + counted(task, named)
    if words.startswith("How many more "):
        more, less = words.removeprefix("How many more ").split(" than ")
        return counted(task, more) - counted(task, less)
    return counted(task, words.removeprefix("How many "))


def test_both_versions_ask_the_same_and_their_golds_are_right() -> None:
    pairs = list(zip(every(made("needs")), every(made("control")), strict=True))
    assert {task.stage for task, _ in pairs} == set(STAGES)
    for chosen, free in pairs:
        if chosen.stage != "visual":
            assert chosen == free
            continue
        assert (chosen.name, chosen.base, chosen.scene) == (free.name, free.base, free.scene)
        assert free.text == free.base
        assert not free.options
        assert int(free.answer) == truth(free)
        assert dict(zip("ABCD", chosen.options, strict=True))[chosen.answer] == NUMBERS[truth(chosen)]
        assert len(set(chosen.options)) == len(chosen.options)
        assert all(f"{letter}: {text}" in chosen.text for letter, text in zip("ABCD", chosen.options, strict=True))


def test_what_is_held_out_was_never_taught() -> None:
    asked = Counter((task.base, task.scene.things if task.scene else None) for task in every(made("needs")))
    assert asked.most_common(1)[0][1] == 1
    assert [len(tasks) for split in made("needs").values() for tasks in split.values()] == [40] * 3 + [20] * 3 + [
        30
    ] * 3


def rates() -> dict[str, tuple[int, int]]:
    return {task.name: (place % 9, 8) for place, task in enumerate(every({"train": taught_rows()}))}


@pytest.mark.parametrize("arm", ARMS)
def test_every_arm_teaches_every_row_once(arm: str) -> None:
    taught = [task.name for part in sets(arm, taught_rows(), rates(), 1) for task in part]
    assert sorted(taught) == sorted(task.name for tasks in taught_rows().values() for task in tasks)
    other = [task.name for part in sets(arm, taught_rows(), rates(), 2) for task in part]
    assert other != taught


def test_stages_come_as_they_are_named_and_easy_rows_first() -> None:
    def stages(arm: str) -> list[set[str]]:
        return [{task.stage for task in part} for part in sets(arm, taught_rows(), rates(), 1)]

    assert stages("staged 1-2-3") == stages("capability x difficulty") == [{"perception"}, {"text"}, {"visual"}]
    assert stages("staged 3-2-1") == [{"visual"}, {"text"}, {"perception"}]
    assert stages(FIRST) == [{"perception"}]
    assert stages("merged") == stages("difficulty") == [set(STAGES)]
    for arm in ("difficulty", "capability x difficulty"):
        for part in sets(arm, taught_rows(), rates(), 1):
            right = [rates()[task.name][0] for task in part]
            assert right == sorted(right, reverse=True)


def test_a_row_that_could_not_be_read_comes_last() -> None:
    unread = taught_rows()["text"][7]
    (part,) = sets("difficulty", taught_rows(), {name: (4, 8) for name in rates()} | {unread.name: (0, 0)}, 1)
    assert part[-1] == unread
