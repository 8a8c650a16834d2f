"""No reply is paid for accuracy that does not say the answer, however it is dressed; docs/reward.md."""

import pytest

from tests.support.adversarial_replies import Adversary, adversaries
from training.reward import compute_score, compute_scores

FORMS = adversaries()


def score(one: Adversary) -> dict[str, float | str]:
    return compute_score("t", one.reply, one.gold, {"options": list(one.options)})


def test_there_are_many_forms_and_each_is_another() -> None:
    assert len({(one.reply, one.gold) for one in FORMS}) >= 300
    assert len({one.name for one in FORMS}) == len(FORMS)


@pytest.mark.parametrize("one", FORMS, ids=lambda one: ascii(one.name))
def test_no_form_is_paid(one: Adversary) -> None:
    found = score(one)
    assert found["accuracy"] == 0.0
    assert float(found["score"]) <= 0.1


def test_a_batch_pays_none_of_them_either() -> None:
    extras = [{"options": list(one.options)} for one in FORMS]
    found = compute_scores([""] * len(FORMS), [one.reply for one in FORMS], [one.gold for one in FORMS], extras)
    assert not sum(float(one["accuracy"]) for one in found)


@pytest.mark.parametrize("gold", sorted({one.gold for one in FORMS}))
def test_the_answer_itself_is_paid(gold: str) -> None:
    (options,) = {one.options for one in FORMS if one.gold == gold}
    for reply in (rf"<think>So.</think> \boxed{{{gold}}}", f"<think>So.</think> The answer is {gold}."):
        found = score(Adversary("", reply, gold, options))
        assert (reply, found["accuracy"]) == (reply, 1.0)


def test_a_statement_may_say_what_is_wrong_after_the_answer() -> None:
    options = next(one.options for one in FORMS if one.options)
    for said in ("B; A is wrong", "B; not C", "B; since it barks", "B. Not C."):
        assert score(Adversary("", f"The answer is {said}", "B", options))["accuracy"] == 1.0
