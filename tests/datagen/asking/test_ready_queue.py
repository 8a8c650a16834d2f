"""Owners asked in turns: nobody waits for the others, and the end comes when all have enough."""

import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from capcurriculum.render.progress import Display
from curricula.build import build
from datagen.asking.ready_queue import ReadyQueue
from tests.support import endpoint, worlds

Item = tuple[str, int]


class Asked:
    """Owners that want so many items each, `step` at a time, and what they were told."""

    def __init__(self, wants: dict[str, int], step: int) -> None:
        self.wants, self.step = wants, step
        self.heard: dict[str, int] = dict.fromkeys(wants, 0)
        self.turns = ReadyQueue(wants, self.following, lambda item: item[0])

    def following(self, owner: str) -> list[Item]:
        first = self.heard[owner]
        return [(owner, number) for number in range(first, min(first + self.step, self.wants[owner]))]

    def hear(self, item: Item) -> None:
        self.heard[item[0]] += 1
        self.turns.heard(item)


@given(
    st.dictionaries(st.text("abc", min_size=1, max_size=3), st.integers(0, 7), max_size=8),
    st.integers(1, 3),
    st.integers(),
)
def test_every_owner_gets_what_it_wants_in_any_order_of_replies(wants: dict[str, int], step: int, seed: int) -> None:
    asked, draw = Asked(wants, step), Random(seed)
    flying: list[Item] = []
    sent: list[Item] = []
    for item in asked.turns:
        if item is None:
            assert flying, "None while nothing is in flight would wait for ever"
        else:
            flying.append(item)
            sent.append(item)
        while flying and (item is None or draw.random() < 0.3):
            asked.hear(flying.pop(draw.randrange(len(flying))))
            item = item or ("heard", 0)
    assert sorted(sent) == sorted((owner, number) for owner, want in wants.items() for number in range(want))
    assert asked.turns.newly_finished() == len(wants)


def test_an_owners_next_turn_comes_before_owners_that_had_none_yet() -> None:
    asked = Asked({"a": 2, "b": 1}, step=1)
    items = iter(asked.turns)
    assert next(items) == ("a", 0)
    asked.hear(("a", 0))
    assert [next(items), next(items)] == [("a", 1), ("b", 0)]
    assert next(items) is None
    asked.hear(("a", 1))
    asked.hear(("b", 0))
    assert list(items) == []


def test_a_slow_reply_keeps_no_other_question_from_its_next_round(tmp_path: Path) -> None:
    worlds.problems(tmp_path / "text", 6)
    rollouts = {"model": "policy", "k": 6, "stop": "dropped", "chunk": 2}
    others = 5 * 3  # each of the other questions is asked for three rounds of two rollouts
    overtaken = threading.Event()

    with endpoint.serving() as server:

        def held(_: BaseHTTPRequestHandler) -> bool:
            for _ in range(500):
                if len(server.requests) > others:
                    overtaken.set()
                    break
                threading.Event().wait(0.01)
            return False

        server.faults.append(held)
        wanted = worlds.recipe_over(tmp_path, server.url, perception=None, rollouts=rollouts)
        run = build(wanted, Display())
    assert overtaken.is_set()
    assert run.answers.count() == 6 * 6
