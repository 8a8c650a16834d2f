"""Markdown of cards: foreign text is shown and means nothing, whatever it holds."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capcurriculum.render.markdown import Md, block, code, link, shortened, table, visible
from cards import templates
from tests.support.card_text import FOREIGN, check


@settings(deadline=None, max_examples=60)
@given(FOREIGN)
def test_a_foreign_line_is_one_piece_of_code_wherever_it_stands(text: str) -> None:
    for words in (f"{code(text)}", f"Before {code(text)} after.", f"- {code(text)}", f"# {code(text)}"):
        found = check(words)
        assert len(found.code) == (1 if text.strip() else 0) or found.words == ["(empty)"]


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(FOREIGN, FOREIGN), min_size=1, max_size=4))
def test_a_table_keeps_its_columns(rows: list[tuple[str, str]]) -> None:
    found = check(table(("one", "two", "three"), [(code(a), 7, code(b)) for a, b in rows], ["two"]))
    assert found.tables == [[3] * (len(rows) + 1)]


@settings(deadline=None, max_examples=60)
@given(FOREIGN)
def test_a_foreign_block_is_one_fence_and_ends_where_we_end_it(text: str) -> None:
    found = check(f"{block(text)}\n\nAfter.\n")
    assert found.types == {"fence", "paragraph_open", "inline", "text", "paragraph_close"}
    assert found.words == ["After."]
    assert len(found.code) == 1


def test_what_is_shown_is_the_text_itself() -> None:
    assert code("a `b` ``c``") == "```a `b` ``c`` ```".replace("```a", "``` a", 1)
    assert check(code("a `b` ``c``")).code == ["a `b` ``c``"]
    assert code("x|y") == "`x¦y`"
    assert visible("a\u202eb\u200bc") == "a⟨U+202E⟩b⟨U+200B⟩c"
    assert visible("می‌خواهم") == "می‌خواهم"
    assert block("one\r\ntwo\rthree") == "```text\none\ntwo\nthree\n```"
    assert code("") == "(empty)"


def test_an_endless_line_is_cut_and_says_so() -> None:
    line = "x" * 100_000
    assert shortened(line, 10) == "xxxxxxxxxx [… 99,990 more characters]"
    assert len(code(line)) < 250
    assert len(block(line)) < 1_400


def test_text_that_nobody_made_markdown_of_is_refused() -> None:
    for cell in ("plain", Md("a | b"), Md("a\nb")):
        with pytest.raises(TypeError):
            table(("one",), [(cell,)])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="2 cells for 1 columns"):
        table(("one",), [(1, 2)])
    for url in ("javascript:alert(1)", "https://a.example/)(", "http://a.example"):
        with pytest.raises(ValueError, match="no link"):
            link("text", url)
    with pytest.raises(TypeError, match="neither Markdown nor a number"):
        templates._finalize("plain")
    with pytest.raises(TypeError):
        templates._finalize(0.5)
