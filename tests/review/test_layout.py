"""What a record shows on Argilla, and what a user is told when there is no server: no server is needed for either."""

import html
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import review_world
from benchmarks.review_world import World
from capcurriculum import cli
from capcurriculum.errors import ReviewError
from capcurriculum.recipe.review import ReviewSection
from capcurriculum.rows import Answer, Question
from capcurriculum.run import writing
from review import design, sample, status
from review.argilla import connection, layout
from review.entries import Entry, Suggestion, entries
from review.population import population
from review.sample import Design, Drawn
from tests.support.installed import needs
from tests.support.reviewing import review, say

ASKED = Question(
    "q", "perception", "P?", "B", ("w", "<b>x</b>", "y\n→ C: z", "z"), "count", "i", "p.png", "a *b* $c$ <d>", "c", "s",
    "l", "What?",
)  # fmt: skip
SHOWN = Entry(ASKED, "v", Drawn("q", "perception", "kept", True, 0.5), "kept", 3, 4, ("one: `A`",), None)


@given(st.text(max_size=60))
def test_folded_text_means_nothing_to_markdown_html_or_formulas(text: str) -> None:
    made = layout.inert(text)
    assert not re.sub(r"&#\d+;", "", made).strip() or re.fullmatch(r"[\w ]*", re.sub(r"&#\d+;", "", made))
    assert "\n" not in made
    # A reference to a control character is read as U+FFFD by HTML; plain has none left but line ends.
    assert html.unescape(made) == layout.plain(text) or any("\x80" <= c <= "\x9f" for c in text)


def test_fields_are_escaped_once_and_options_stay_on_their_lines() -> None:
    fields = layout.fields_of(SHOWN, ReviewSection(), None)
    assert fields[layout.ANSWERS].splitlines() == ["  A: w", "→ B: &lt;b&gt;x&lt;/b&gt;", "  C: y → C: z", "  D: z"]
    assert fields[layout.QUESTION] == "What?"
    assert "<details><summary>Caption</summary>" in fields[layout.BEHIND]
    assert "&#42;b&#42; &#36;c&#36; &#60;d&#62;" in fields[layout.BEHIND]


@pytest.mark.parametrize(
    ("caption", "words"), [("hidden", "<details><s"), ("shown", "<details open>"), ("left_out", "")]
)
def test_the_caption_is_where_the_recipe_wants_it(caption: str, words: str) -> None:
    fields = layout.fields_of(SHOWN, ReviewSection.model_validate({"caption": caption}), None)
    behind = fields.get(layout.BEHIND, "")
    assert words in behind
    assert ("Caption" in behind) == (caption != "left_out")
    told = layout.dataset_layout(ReviewSection.model_validate({"caption": caption}), True, False)
    assert "{caption}" not in told.guidelines


def test_a_record_says_what_one_can_filter_by_and_what_an_auditor_thinks() -> None:
    suggested = replace(SHOWN, suggestion=Suggestion("no", 0.75, "judge/1"))
    made = layout.record(suggested, ReviewSection(), None, {layout.RIGHT: "id"})
    assert made["metadata"]["pass_rate"] == 0.75
    assert made["metadata"]["image_digest"] == "i"
    assert made["metadata"].keys() <= {p.name for p in layout.METADATA}
    (suggestion,) = made["suggestions"]
    assert (suggestion["value"], suggestion["score"], suggestion["agent"]) == ("no", 0.75, "judge/1")
    bare = layout.record(replace(SHOWN, n=0, k=0), ReviewSection(), None, {})
    assert "pass_rate" not in bare["metadata"]
    assert bare["suggestions"] == []


def test_free_answers_are_asked_for_only_where_there_are_some() -> None:
    names = [
        [q.name for q in layout.dataset_layout(ReviewSection(), *kinds).questions]
        for kinds in ((True, False), (False, True))
    ]
    assert layout.CHOICE in names[0]
    assert layout.ANSWER not in names[0]
    assert layout.ANSWER in names[1]
    assert layout.CHOICE not in names[1]


def test_without_a_server_in_the_environment_there_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("ARGILLA_API_URL", raising=False)
    monkeypatch.setenv("ARGILLA_API_KEY", "secret-key")
    with pytest.raises(ReviewError, match="Set ARGILLA_API_URL in the environment") as told:
        connection.connect()
    assert "secret-key" not in str(told.value)


def test_a_server_that_is_not_there_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    needs("argilla", "tenacity", extra="review")
    monkeypatch.setenv("ARGILLA_API_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("ARGILLA_API_KEY", "secret-key")
    with pytest.raises(ReviewError, match="does not answer") as told:
        connection.connect(patience=0.1)
    assert "secret-key" not in str(told.value)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return review_world.made(tmp_path_factory.mktemp("world"), 40, pictures=False)


def test_entries_show_what_models_said_and_what_auditors_suggest(world: World) -> None:
    with writing(world.recipe) as run:
        drawn = design.draw(population(run, world.recipe), Design("random", size=10))
        sample.save(run, drawn)
        first = drawn.drawn[0].question_id
        for number, outcome in enumerate(("wrong", "wrong", "right", "unparsed")):
            vote = Answer(f"a{number}", first, "judge/1", "audit", "image", number, "", "x", outcome, "stop", 1, 1, "d")
            run.answers.append([vote])
    found = {entry.question.question_id: entry for entry in entries(world.run, world.recipe, drawn)}
    assert len(found) == 10
    assert found[first].suggestion == Suggestion("no", pytest.approx(2 / 3), "judge/1")
    assert all(entry.n == 4 for entry in found.values())
    assert len(found[first].solvers) == 5  # two solvers on two arms, and the rollouts
    assert "text" not in " ".join(found[first].solvers)


def test_status_counts_what_the_run_has_where_no_server_is_named(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("ARGILLA_API_URL", raising=False)
    if sample.load(world.run) is None:
        with writing(world.recipe) as run:
            sample.save(run, design.draw(population(run, world.recipe), Design("random", size=10)))
    drawn = sample.needed(world.run).drawn
    asked = {q.question_id: q for q in world.run.questions.rows()}
    say(world, [review(asked[d.question_id], "yes", who="ada") for d in drawn[:4]])
    assert cli.main(["review", "status", str(world.run.path)]) == 0
    printed = capsys.readouterr().out
    assert re.search(r"all +10 +4 +4 +40%", printed)
    assert re.search(r"ada +4 +0 +0", printed)
    assert status.show.__doc__
