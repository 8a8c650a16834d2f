"""Filters that read a question's own words: how it is put, and whether it quotes its answer."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capcurriculum.rows import Question
from filters import words
from filters.rules.leak import LeakSection
from filters.rules.wellformed import WellformedSection

OPTIONS = ("a red car", "a blue van", "a green bus", "a bicycle")


def question(
    text: str = "What stands beside the house?",
    options: tuple[str, ...] = OPTIONS,
    answer: str = "A",
    caption: str = "A red car stands beside a small house.",
    path: str = "x.png",
) -> Question:
    return Question("q", "perception", text, answer, options, "s", "i", path, caption, "c", "src", "l", text=text)


def wellformed_reason(asked: Question, section: WellformedSection | None = None) -> str:
    verdict = (section or WellformedSection()).judge(asked)
    assert verdict.keep == (verdict.reason == "kept")
    return verdict.reason


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        (question(), "kept"),
        (question("Which word is on the sign, \"STOP\" or \"GO?\""), "kept"),
        (question(options=("red", "blue", "green")), "not_four_options"),
        (question(answer="E"), "key_missing"),
        (question(answer=" "), "key_missing"),
        (question(options=("a dog", "The  DOG", "cat", "cow")), "options_alike"),
        (question(options=("two", "2", "three", "four")), "options_alike"),
        (question(options=("ｂｌｕｅ", "blue", "red", "green")), "options_alike"),
        (question(options=("teal", "teal.", "red", "green")), "options_alike"),
        (question(options=("caf\u00e9", "cafe\u0301", "bar", "inn")), "options_alike"),
        (question(options=("well-lit", "well lit", "dark", "dim")), "options_alike"),
        (question(options=("+", "-", "*", "/")), "kept"),
        (question(options=("-5", "5", "5%", "$5")), "kept"),
        (question(options=("x < 3", "x > 3", "x = 3", "x")), "kept"),
        (question(options=("C", "C++", "C#", "D")), "kept"),
        (question(options=("Team", "Team A", "Team B", "Team C")), "kept"),
        (question(options=("←", "→", "↑", "↓")), "kept"),
        (question(options=("1/2", "1-2", "1*2", "12")), "kept"),
        (question(options=("red", "blue", "green", " ")), "options_alike"),
        (question("The vehicle beside the house is red."), "not_a_question"),
        (question("What a large vehicle beside the house."), "not_a_question"),
        (question("Choose the colour of the left car."), "kept"),
        (question("Look at the house. Name the vehicle beside it."), "kept"),
        (question("The vehicle beside the house is ____."), "kept"),
        (question("What colour is the left car? Choose one."), "kept"),
        (question("Which vehicle stands beside the house"), "kept"),
        (question("房子旁边停着什么车？"), "kept"),
        (question("请选择左边汽车的颜色。"), "kept"),
        (question("左边的汽车是（　）色。"), "kept"),
        (question("家の隣には何がありますか。"), "kept"),
        (question("ما لون السيارة؟"), "kept"),
        (question("What " + "very " * 90 + "large thing is it?"), "text_too_long"),
        (question(options=("a red car", "b" * 121, "c" * 100, "d" * 110)), "text_too_long"),
        (question("According to the caption, what is red?"), "names_the_caption"),
        (question("What colour is mentioned for the car?"), "names_the_caption"),
        (question("What does the description say is red?"), "names_the_caption"),
        (question("As described, what is red?"), "names_the_caption"),
        (question("Which language is the caption on the poster in?"), "kept"),
        (question("According to the text on the sign, how fast may one drive?"), "kept"),
        (question("Based on the text printed above the door, who lives here?"), "kept"),
        (question("What is mentioned in the text at the bottom of the poster?"), "kept"),
        (question("Which dish is described on the menu?"), "kept"),
        (question("According to the text, what is red?"), "names_the_caption"),
        (question(options=("red", "blue", "green", "All of the above")), "option_gives_itself_away"),
        (question(options=("red", "blue", "green", "None of these")), "option_gives_itself_away"),
        (question(options=("red", "blue", "both A and B", "green")), "option_gives_itself_away"),
        (question(options=("red", "blue", "It cannot be determined", "green")), "option_gives_itself_away"),
        (question(options=("red", "blue", "green", "All of them are right")), "option_gives_itself_away"),
        (question(options=("left", "right", "both", "none")), "kept"),
        (question(options=("all the other cars", "any other colour", "both of these dogs", "a cat")), "kept"),
        (question("Which two lines cross?", options=("A and B", "A and C", "B and C", "B and D")), "kept"),
        (question(options=("a small red car with an open door", "van", "bus", "bike")), "option_gives_itself_away"),
        (question(options=("van", "a small red car with open doors", "a bus with a wide rear window", "a bike with a "
         "basket in front")), "option_gives_itself_away"),
        (question(options=("van", "a small red car with an open door", "bus", "bike")), "kept"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_as_it_is_written_is_dropped_with_its_reason(asked: Question, reason: str) -> None:
    assert wellformed_reason(asked) == reason


def test_problems_may_have_as_many_options_as_they_were_written_with() -> None:
    five = question(options=(*OPTIONS, "a horse"), answer="E")
    assert (wellformed_reason(five), wellformed_reason(replace(five, caption_id=""))) == ("not_four_options", "kept")
    assert wellformed_reason(replace(five, caption_id="", answer="F")) == "key_missing"
    telling = replace(five, caption_id="", options=(*OPTIONS, "a small brown horse with a long white tail"))
    assert wellformed_reason(telling) == "option_gives_itself_away"


def test_the_lengths_are_those_of_the_recipe() -> None:
    assert wellformed_reason(question(), WellformedSection(max_question=10)) == "text_too_long"
    assert wellformed_reason(question(), WellformedSection(max_option=10)) == "text_too_long"
    longer = question(options=("a red car", "van", "bus", "cab"))
    section = WellformedSection(odd_characters=5, odd_ratio=2)
    assert (wellformed_reason(longer), wellformed_reason(longer, section)) == ("kept", "option_gives_itself_away")


@pytest.mark.parametrize(
    ("asked", "quoted"),
    [
        (question(), ""),
        (question("Where is the red car?"), "red car"),
        (question("Where are the RED cars?"), "red car"),
        (question("Is the red car or the blue van beside the house?"), ""),
        (question("What is beside the car?"), ""),
        (question("Whose door?", options=("the shiny red car with lights", *OPTIONS[1:])), ""),
        (
            question(
                "Why is the shiny red car here?",
                options=("the shiny red car leaks", *OPTIONS[1:]),
                caption="A shiny red car stands here.",
            ),
            "shiny red car",
        ),
        (question("Why is the shiny red car here?", options=("the shiny red car leaks", *OPTIONS[1:]), caption=""), ""),
        (question("How many of the 2 dogs sit?", options=("two", "three", "four", "one")), "2"),
        (question("How large is the car?", options=("large", "small", "tiny", "huge")), ""),
        (question("What is 2 + 2?", options=(), answer="4"), ""),
    ],
)
def test_an_answer_quoted_in_its_question_is_a_leak(asked: Question, quoted: str) -> None:
    verdict = LeakSection().judge(asked)
    assert (verdict.keep, verdict.detail) == (not quoted, quoted)
    assert verdict.reason == ("answer_in_question" if quoted else "kept")


@settings(max_examples=40)
@given(st.text(max_size=60), st.tuples(*(st.text(max_size=20) for _ in range(4))), st.sampled_from("ABCD"), st.text())
def test_text_filters_take_any_text_and_say_the_same_twice(
    text: str, options: tuple[str, ...], answer: str, caption: str
) -> None:
    asked = question(text, options, answer, caption)
    assert WellformedSection().judge(asked) == WellformedSection().judge(asked)
    assert LeakSection().judge(asked) == LeakSection().judge(asked)


@given(st.lists(st.sampled_from("abc"), max_size=8), st.lists(st.sampled_from("abc"), max_size=8))
def test_the_longest_shared_run_is_in_both_and_none_is_longer(one: list[str], other: list[str]) -> None:
    found = words.shared(one, other)
    assert not found or (words.holds(one, found) and words.holds(other, found))
    longer = [tuple(one[i : i + len(found) + 1]) for i in range(len(one) - len(found))]
    assert not any(words.holds(other, run) for run in longer)
