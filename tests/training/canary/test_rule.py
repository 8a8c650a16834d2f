"""The canary's verdict over numbers whose fault is known, and what is said of it."""

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from capcurriculum.errors import TrainerError
from training.canary import record, rule
from training.canary.rule import BLANK, NONE, Reading

ROWS, TOKENS = 4, 5
Values = dict[tuple[int, int], tuple[float, ...]]
#: (row, picture) in the order of the trainer's batch.
ORDER = [(row, picture) for row in range(ROWS) for picture in (NONE, *range(ROWS), BLANK)]


def model(reaction: float, seed: int = 0) -> Values:
    """A model's log-probabilities: a row's own picture makes its reply more probable, others change it by chance."""
    rng = random.Random(seed)
    bases = [[rng.uniform(-16, -1) for _ in range(TOKENS)] for _ in range(ROWS)]

    def value(row: int, picture: int) -> tuple[float, ...]:
        if picture == NONE:
            return tuple(bases[row])
        return tuple(b + reaction * (abs(rng.gauss()) * (1 if picture == row else -1)) for b in bases[row])

    return {key: value(*key) for key in ORDER}


def noisy(values: Values, noise: float, seed: int = 1) -> Values:
    rng = random.Random(seed)
    return {key: tuple(v + rng.gauss(0, noise) for v in value) for key, value in values.items()}


def readings(trainer: Values, rollout: Values) -> list[Reading]:
    return [Reading(*key, trainer[key], rollout[key]) for key in ORDER]


def batched(values: Values, place: Callable[[int], int]) -> Values:
    """Each prompt with the picture of the prompt at another place of the batch."""
    shown = [key for key in ORDER if key[1] != NONE]
    moved = {key: values[key[0], shown[place(n) % len(shown)][1]] for n, key in enumerate(shown)}
    return values | moved


def blind(values: Values) -> Values:
    return {key: values[key[0], BLANK] if key[1] != NONE else value for key, value in values.items()}


def coarse(values: Values, share: float = 0.3) -> Values:
    """As if a part of each picture were lost."""
    return {
        key: tuple((1 - share) * v + share * b for v, b in zip(value, values[key[0], BLANK], strict=True))
        if key[1] != NONE
        else value
        for key, value in values.items()
    }


FAULTS: dict[str, tuple[Callable[[Values], Values], str]] = {
    "dropped": (blind, "dropped"),
    "swapped": (lambda values: batched(values, lambda n: n ^ 1), "swapped"),
    "one row ahead": (lambda values: batched(values, lambda n: n + 1), "shifted"),
    "one row behind": (lambda values: batched(values, lambda n: n - 1), "shifted"),
    "resized": (coarse, "resized"),
}


@pytest.mark.parametrize("noise", [1e-5, 0.03], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("seed", range(10))
def test_a_clean_run_is_seen_alike_in_any_number_format(noise: float, seed: int) -> None:
    values = model(1.3, seed)
    found = rule.judge(readings(noisy(values, noise, seed), values))
    assert (found.state, found.kind) == ("alike", "")
    assert noise / 3 < found.apart < noise * 3


@pytest.mark.parametrize("seed", range(5))
def test_what_the_vision_tower_adds_to_the_noise_is_no_fault(seed: int) -> None:
    values = model(1.3, seed)
    seen = noisy(values, 0.15, seed)
    mixed = {key: values[key] if key[1] == NONE else value for key, value in seen.items()}
    found = rule.judge(readings(mixed, values))
    assert found.apart > rule.SHARE * found.rollout_reaction  # it is the blank pictures that tell
    assert (found.state, found.noise) == ("alike", 0.0)


@pytest.mark.parametrize("noise", [1e-5, 0.03], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("seed", range(5))
def test_each_fault_of_the_trainer_is_named(fault: str, noise: float, seed: int) -> None:
    values = model(1.3, seed)
    plant, kind = FAULTS[fault]
    found = rule.judge(readings(noisy(plant(values), noise, seed), values))
    assert (found.state, found.kind) == ("fault", kind)
    assert found.side == ("" if kind == "resized" else "trainer")


def test_the_rollout_engine_is_named_when_it_is_the_one_that_does_not_see() -> None:
    values = model(1.3)
    exchanged = values | {(row, p): values[row, p ^ 1] for row, p in ORDER if p >= 0}
    for theirs, kind in ((blind(values), "dropped"), (exchanged, "swapped")):
        found = rule.judge(readings(values, theirs))
        assert (found.state, found.kind, found.side) == ("fault", kind, "rollout")


@pytest.mark.parametrize("seed", range(100))
def test_swapped_and_shifted_are_told_apart_in_any_order_of_the_batch(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(globals(), "ORDER", random.Random(seed).sample(ORDER, len(ORDER)))
    values = model(1.3, seed)
    for place, kind in ((lambda n: n ^ 1, "swapped"), (lambda n: n + 1, "shifted"), (lambda n: n - 1, "shifted")):
        assert rule.judge(readings(batched(values, place), values)).kind == kind


def test_a_model_that_does_not_look_is_undecided_and_no_fault() -> None:
    values = model(0.0)
    assert rule.judge(readings(noisy(values, 1e-5), values)).state == "undecided"
    little = model(0.02)  # it reacts, by less than what the engines differ by without a picture
    assert rule.judge(readings(noisy(little, 0.03), little)).state == "undecided"


def test_what_is_no_number_is_never_seen_alike() -> None:
    values = model(1.3)
    broken = values | {(0, 0): (float("nan"),) * TOKENS}
    found = rule.judge(readings(broken, values))
    assert found.state == "undecided"
    assert "some log-probabilities are no numbers" in record.sentence(found, 1)


def test_another_number_of_tokens_is_a_resizing_whatever_the_values_are() -> None:
    values = model(1.3)
    longer = [replace(one, grown=12) if one.picture >= 0 else one for one in readings(values, values)]
    found = rule.judge(longer)
    assert (found.state, found.kind, found.grown) == ("fault", "resized", 12)
    assert "resized differently, the rollout engine's prompts by +12 tokens" in record.sentence(found, 0)


def test_one_row_and_none_are_enough_to_be_judged() -> None:
    values = model(1.3)
    one = [reading for reading in readings(values, values) if reading.row == 0 and reading.picture in (0, BLANK, NONE)]
    assert rule.judge(one).state == "alike"
    assert rule.judge([replace(r, trainer=values[0, BLANK]) if r.picture == 0 else r for r in one]).kind == "dropped"
    assert rule.judge([]).state == "undecided"


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("dropped", "the trainer does not see the pictures, they are dropped on their way to it"),
        ("swapped", "the trainer sees pictures of other rows, they are swapped"),
        ("one row ahead", "the trainer sees in place of each picture that of the row beside it in the batch"),
        ("resized", "the two see the right pictures, but resized or prepared differently"),
    ],
)
def test_the_sentence_says_who_does_not_see_and_the_mend(fault: str, said: str) -> None:
    values = model(1.3)
    found = rule.judge(readings(FAULTS[fault][0](values), values))
    look = {"state": found.state, "sentence": record.sentence(found, 12)}
    with pytest.raises(TrainerError, match=r"^The pixel canary ended text: after step 12 ") as raised:
        record.shown(look, "text", Path("/x/canary.jsonl"))
    assert said in str(raised.value)
    assert "no key of training.verl changes how pictures are read, then run again; " in str(raised.value)
    assert str(raised.value).endswith("the numbers are in /x/canary.jsonl.")


def test_a_good_look_is_one_line() -> None:
    values = model(1.3)
    found = rule.judge(readings(values, values))
    look = {"state": found.state, "sentence": record.sentence(found, 0)}
    line = record.shown(look, "text", Path("/x"))
    assert line.startswith("text: canary: before the first step trainer and rollout engine see the pictures alike (")
    assert "\n" not in line


def test_a_plan_says_whether_the_canary_will_look() -> None:
    assert "before the first step and every 31 steps" in record.planned(True, 31)
    assert record.planned(None, 31).startswith("if rows have pictures, the pixel canary compares")
    assert record.planned(False, 31) == "no row has a picture, so the pixel canary has nothing to look at"
