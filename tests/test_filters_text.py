"""Filters that read the question itself: its image, its wording, and whether it quotes its answer."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from capcurriculum.recipe_filters import LeakSection, ReadableSection, WellformedSection
from capcurriculum.rows import Question
from filters import leak, readable, wellformed, words
from tests.test_build import worst_docci
from tests.worlds import docci

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
    verdict = wellformed.judge(asked, section or WellformedSection())
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
        (question(options=("+", "-", "*", "/")), "kept"),
        (question(options=("red", "blue", "green", " ")), "options_alike"),
        (question("Name the vehicle beside the house."), "not_a_question"),
        (question("What " + "very " * 90 + "large thing is it?"), "text_too_long"),
        (question(options=("a red car", "b" * 121, "c" * 100, "d" * 110)), "text_too_long"),
        (question("According to the caption, what is red?"), "names_the_caption"),
        (question("What colour is mentioned for the car?"), "names_the_caption"),
        (question("What does the description say is red?"), "names_the_caption"),
        (question("As described, what is red?"), "names_the_caption"),
        (question("Which language is the caption on the poster in?"), "kept"),
        (question(options=("red", "blue", "green", "All of the above")), "option_gives_itself_away"),
        (question(options=("red", "blue", "green", "None of these")), "option_gives_itself_away"),
        (question(options=("red", "blue", "both A and B", "green")), "option_gives_itself_away"),
        (question(options=("red", "blue", "It cannot be determined", "green")), "option_gives_itself_away"),
        (question(options=("left", "right", "both", "none")), "kept"),
        (question(options=("a small red car with an open door", "van", "bus", "bike")), "option_gives_itself_away"),
        (question(options=("van", "a small red car with open doors", "a bus with a wide rear window", "a bike with a "
         "basket in front")), "option_gives_itself_away"),
        (question(options=("van", "a small red car with an open door", "bus", "bike")), "kept"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_as_it_is_written_is_dropped_with_its_reason(asked: Question, reason: str) -> None:
    assert wellformed_reason(asked) == reason


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
    verdict = leak.judge(asked, LeakSection())
    assert (verdict.keep, verdict.detail) == (not quoted, quoted)
    assert verdict.reason == ("answer_in_question" if quoted else "kept")


@settings(max_examples=40)
@given(st.text(max_size=60), st.tuples(*(st.text(max_size=20) for _ in range(4))), st.sampled_from("ABCD"), st.text())
def test_text_filters_take_any_text_and_say_the_same_twice(
    text: str, options: tuple[str, ...], answer: str, caption: str
) -> None:
    asked = question(text, options, answer, caption)
    assert wellformed.judge(asked, WellformedSection()) == wellformed.judge(asked, WellformedSection())
    assert leak.judge(asked, LeakSection()) == leak.judge(asked, LeakSection())


@given(st.lists(st.sampled_from("abc"), max_size=8), st.lists(st.sampled_from("abc"), max_size=8))
def test_the_longest_shared_run_is_in_both_and_none_is_longer(one: list[str], other: list[str]) -> None:
    found = words.shared(one, other)
    assert not found or (words.holds(one, found) and words.holds(other, found))
    longer = [tuple(one[i : i + len(found) + 1]) for i in range(len(one) - len(found))]
    assert not any(words.holds(other, run) for run in longer)


def test_images_that_cannot_be_shown_are_dropped_and_bombs_are_not_decoded(tmp_path: Path) -> None:
    folder = docci(tmp_path / "docci", 2)
    worst_docci(folder)
    Image.new("RGB", (900, 40)).save(folder / "images" / "band.png")
    Image.new("RGB", (20, 40)).save(folder / "images" / "small.png")

    def reason(name: str, **limits: object) -> str:
        verdict = readable.judge(question(path=name), folder, ReadableSection.model_validate(limits))
        assert verdict.keep == (verdict.reason == "kept")
        return verdict.reason

    assert reason("images/train_00000.png") == reason("") == "kept"
    assert reason("images/train_00000.png", min_side=50) == "image_too_small"
    assert reason("images/train_00000.png", max_pixels=1000) == "image_too_large"
    assert reason("images/torn.png") == "unreadable_image"
    assert reason("images/bomb.png") == "image_too_large"
    assert reason("images/small.png") == "image_too_small"
    assert (reason("images/band.png"), reason("images/band.png", max_aspect=25)) == ("image_too_narrow", "kept")
    assert reason("images/absent.png") == "missing_file"
    assert reason("../docci/images/train_00000.png") == reason("/etc/hostname") == "path_escapes"


def test_a_link_to_a_folder_is_followed_and_a_link_out_of_it_is_not(tmp_path: Path) -> None:
    plain = docci(tmp_path / "plain", 1)
    (tmp_path / "secret.png").write_bytes((plain / "images" / "train_00000.png").read_bytes())
    (plain / "images" / "link.png").symlink_to(tmp_path / "secret.png")
    (tmp_path / "run" / "places").mkdir(parents=True)
    (tmp_path / "run" / "places" / "perception-0").symlink_to(plain)
    names = ("train_00000.png", "link.png")
    paths = [question(path=f"places/perception-0/images/{name}") for name in names]
    found = [readable.judge(asked, tmp_path / "run", ReadableSection()).reason for asked in paths]
    assert found == ["kept", "path_escapes"]
