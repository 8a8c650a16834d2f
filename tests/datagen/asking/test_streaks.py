"""When replies fail alike from the first one on, and what is counted of them."""

import pytest

from capcurriculum.errors import EngineError
from capcurriculum.rows import Message, Request, Response, Sampling
from datagen.asking import outcomes
from datagen.asking.outcomes import Counts, Heard, Reading, shown
from datagen.asking.streaks import ENOUGH, SUBJECTS, Streak, alike
from datagen.engines.protocol import Traffic


def test_reasons_are_compared_without_numbers_ids_and_paths() -> None:
    one = "Error code: 400 - {'message': 'the image /data/1f.png of request chatcmpl-9ab has 12 pixels'}"
    two = "Error code: 400 - {'message': 'the image /data/77e.png of request chatcmpl-c01 has 4711 pixels'}"
    assert alike(one) == alike(two)
    assert alike(one) != alike("the endpoint's reply is not a chat completion")
    assert alike("no such model: " + "x " * 500) == alike("no such model: " + "x " * 900)


def test_a_streak_needs_enough_replies_about_enough_things() -> None:
    streak = Streak()
    assert not any(streak.add("no", number) for number in range(ENOUGH - 1))
    assert streak.add("no", ENOUGH)
    of_few = Streak()
    assert not any(of_few.add("no", number % (SUBJECTS - 1)) for number in range(10 * ENOUGH))
    assert of_few.add("no", "another")


@pytest.mark.parametrize("other", ["", "another reason"])
def test_one_reply_that_is_unlike_ends_a_streak_for_good(other: str) -> None:
    streak = Streak()
    assert not any(streak.add("no", number) for number in range(ENOUGH - 1))
    if other:
        assert not streak.add(other, "x")
    else:
        streak.end()
    assert not any(streak.add("no", number) for number in range(10 * ENOUGH))


def request(number: int, picture: bool = False) -> Request:
    turns = (Message("user", f"Question {number}?", images=int(picture)),)
    return Request.make("m", turns, Sampling(), images=((str(number), f"{number}.png"),) if picture else ())


def heard(proven: bool = False) -> Heard:
    return Heard("probe", "one (m)", "look there", proven=proven)


def failing(to: Heard, count: int, picture: bool = False, why: str = "refused") -> None:
    for number in range(count):
        to.note(None, request(number, picture), Response(f"{number}", "", "error", error=why), None)


def test_pictures_that_are_all_refused_are_found_while_text_is_answered() -> None:
    one = heard()
    one.note(None, request(0), Response("a", r"\boxed{A}", "stop"), None)
    failing(one, ENOUGH - 1, picture=True)
    with pytest.raises(EngineError, match=r"one \(m\).*first 20 .*step probe.*refused; these requests show images"):
        failing(one, 1, picture=True)


def test_a_step_whose_replies_were_of_use_before_is_not_stopped() -> None:
    failing(heard(proven=True), 10 * ENOUGH)


def test_words_of_a_server_are_short_and_cannot_steer_a_terminal() -> None:
    with pytest.raises(EngineError) as caught:
        failing(heard(), ENOUGH, why="\x1b[2J bad\nnews " + "x" * 5000)
    assert "\\x1b[2J bad news" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 700
    assert shown("plain") == "plain"


def test_nothing_is_said_where_all_is_well_and_everything_where_not() -> None:
    one, traffic = heard(), Traffic(requests=7, retries=5)
    one.begin(traffic)
    one.note(None, request(0), Response("a", r"\boxed{A}", "stop"), None)
    assert one.words() == ""
    assert one.closing("probe, one") == []
    traffic.retries += 41
    failing(one, 3)
    one.note(None, request(0), Response("a", "so", "length"), None)
    assert one.words() == "3 failed, 41 retried, 1 cut off"
    (line,) = one.closing("probe, one")
    assert line == "probe, one: 3 of 5 replies brought nothing (the first: refused); look there"
    one.begin(traffic)
    assert one.words() == ""


def test_replies_that_are_all_cut_off_are_said_once_and_stop_nothing() -> None:
    one, said = heard(), []
    for number in range(3 * ENOUGH):
        asked = request(number)
        said.append(one.all_cut_off(asked, one.note(None, asked, Response("a", "so", "length"), None)))
    (sentence,) = filter(None, said)
    assert said.index(sentence) == ENOUGH - 1
    assert "first 20 replies was cut off at max_tokens" in sentence
    assert "60 of 60 replies were cut off" in " ".join(one.closing("rollout, one"))


def test_thoughts_alone_are_of_no_use_unless_they_were_cut_off() -> None:
    one = heard()
    for number in range(3 * ENOUGH):
        one.note(None, request(number), Response("a", "", "length", error="only thoughts"), None)
    two, silent = heard(), Response("a", "", "stop", error="only thoughts")
    for number in range(ENOUGH - 1):
        two.note(None, request(number), silent, None)
    with pytest.raises(EngineError, match="only thoughts"):
        two.note(None, request(ENOUGH), silent, None)


def test_replies_that_do_not_tell_leave_a_streak_as_it_is() -> None:
    told = iter([Reading("bad", "retried", counts=False), Reading("bad", "failed")] * ENOUGH)
    one = Heard("teacher", "t", "", lambda *_: next(told))
    for number in range(2 * ENOUGH - 1):
        one.note(None, request(number), Response("a", "", "stop"), None)
    with pytest.raises(EngineError, match="bad"):
        one.note(None, request(99), Response("a", "", "stop"), None)


def test_counts_add_up() -> None:
    some = Counts(replies=3, failed=1)
    assert (some + some) - some == some


def test_words_say_how_fast_the_model_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(outcomes.time, "monotonic", lambda: now[0])
    one = heard()
    one.begin(Traffic())
    for number in range(4):
        now[0] += 0.5
        one.note(None, request(number), Response("a", "so", "stop", tokens_out=600), None)
    now[0] += 60  # while nothing comes nothing new is said
    assert one.words() == "1,200 tokens/s"
