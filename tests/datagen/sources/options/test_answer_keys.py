"""Answer keys: one convention for a whole source, labels honoured, and nothing guessed row by row."""

import json
from pathlib import Path
from typing import Any

import pytest

from capcurriculum import cli, recipe
from capcurriculum.errors import ParseError, SourceError
from capcurriculum.rows import Stage
from capcurriculum.run import writing
from datagen.sources import gather
from datagen.sources.formats.json_lines import LineProblem
from datagen.sources.options import options
from datagen.sources.options.answer_keys import Reading, infer
from datagen.sources.options.key_evidence import Convention
from datagen.teacher import mcq
from tests.support import source_data as data
from tests.support import worlds

TEXT = Stage.TEXT
FRUIT = ["plum", "banana", "cherry", "lime"]


def read(folder: Path, rows: list[dict[str, Any]], **columns: str) -> tuple[dict[str, str], list[str]]:
    """Problem -> text of the option that its key names, and the reasons of the rows that gave none."""
    path = folder / "p/rows.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    mapped = {"options": "options"} | columns
    found = data.read(data.section("problems", folder / "p", columns=mapped, source="s"), folder / "run", TEXT)
    return {
        q.problem.split("\n")[0]: q.options["ABCDEFGHIJ".index(q.answer)] if q.options else q.answer
        for q in data.questions(found)
    }, data.reasons(found)


def row(number: int, choices: Any, answer: Any) -> dict[str, Any]:
    return {"problem": f"Question {number}?", "options": choices, "answer": answer}


@pytest.mark.parametrize("write", [int, str, float])
def test_keys_that_reach_the_number_of_options_count_from_one(tmp_path: Path, write: type) -> None:
    rows = [row(n, FRUIT, write(n)) for n in (2, 1, 4, 3)]
    found, reasons = read(tmp_path, rows)
    assert found == {f"Question {n}?": FRUIT[n - 1] for n in (1, 2, 3, 4)}
    assert reasons == []


def test_keys_with_a_zero_count_from_zero_although_options_are_numbers(tmp_path: Path) -> None:
    counts = [["2", "3", "1", "0"], ["6", "8", "2", "4"], ["3", "0", "5", "7"], ["2", "4", "3", "1"]]
    found, _ = read(tmp_path, [row(n, one, key) for n, (one, key) in enumerate(zip(counts, [1, 1, 0, 2], strict=True))])
    assert list(found.values()) == ["3", "8", "3", "3"]


def test_keys_that_are_texts_of_options_are_texts(tmp_path: Path) -> None:
    found, _ = read(tmp_path, [row(0, [3, 4, 5, 7], 7), row(1, [10, 20], 10), row(2, ["1 cm", "12 cm"], 12)])
    assert list(found.values()) == ["7", "10", "12 cm"]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([row(0, FRUIT, 1), row(1, FRUIT, 2)], "one_based or zero_based.*row 1 answers 1"),
        ([row(0, FRUIT, 0), row(1, FRUIT, 4)], "no one convention.*row 1 answers 0.*row 2 answers 4"),
        ([row(0, ["1", "2"], 1)], "answers: zero_based, one_based or text"),
    ],
)
def test_a_source_that_leaves_it_open_is_refused_with_rows(
    tmp_path: Path, rows: list[dict[str, Any]], words: str
) -> None:
    with pytest.raises(SourceError, match=words):
        read(tmp_path, rows)


def test_the_recipe_may_say_what_keys_are(tmp_path: Path) -> None:
    rows = [row(0, FRUIT, 1), row(1, FRUIT, 2), row(2, FRUIT, 4)]
    assert list(read(tmp_path / "0", rows[:2], answers="zero_based")[0].values()) == ["banana", "cherry"]
    assert read(tmp_path / "00", [*rows, row(3, FRUIT, 0)], answers="zero_based")[1] == ["ungradable_answer"]
    with pytest.raises(SourceError, match=r"says .* are zero_based, and its rows fit one_based .*row 3 answers 4"):
        read(tmp_path / "01", rows, answers="zero_based")
    assert list(read(tmp_path / "1", rows, answers="one_based")[0].values()) == ["plum", "banana", "lime"]
    letters = [row(0, ["B", "A"], "A")]
    assert read(tmp_path / "2", letters, answers="letters")[0] == {"Question 0?": "B"}
    assert read(tmp_path / "3", letters, answers="text")[0] == {"Question 0?": "A"}
    with pytest.raises(SourceError, match=r"row 1 answers A of .*answers: letters or text"):
        read(tmp_path / "4", letters)
    assert read(tmp_path / "5", [*letters, row(1, FRUIT, "C")])[0]["Question 0?"] == "B"
    assert read(tmp_path / "6", [*letters, row(1, FRUIT, "lime")])[0]["Question 0?"] == "A"


def test_a_key_past_the_end_is_a_bad_row_and_no_evidence(tmp_path: Path) -> None:
    found, reasons = read(tmp_path, [row(0, FRUIT, 0), row(1, FRUIT, 9), row(2, FRUIT, 3)])
    assert (list(found.values()), reasons) == (["plum", "lime"], ["ungradable_answer"])


def test_labels_inside_options_name_the_key_and_leave_the_text(tmp_path: Path) -> None:
    rows = [
        row(0, ["B. lung", "C. heart", "D. liver"], "C"),
        row(1, ["C. apple", "A. carrot", "B. pear"], "A"),
        row(2, ["(1) ice", "(2) steam", "(3) snow"], "2"),
        row(3, ["B. lung", "C. heart", "D. liver"], "A"),
        row(4, ["1.5 m", "2.5 m"], "B"),
        row(5, ["A) red", "B) blue"], "b) blue"),
    ]
    found, reasons = read(tmp_path, rows)
    assert list(found.values()) == ["heart", "carrot", "steam", "2.5 m", "blue"]
    assert reasons == ["ungradable_answer"]


LAYOUTS = [
    {"A": "red", "B": "blue"},
    {"B": "blue", "A": "red"},
    ["red", "blue"],
    '["red", "blue"]',
    "['red', 'blue']",
    "A. red; B. blue",
    "A) red\nB) blue",
    "(A) red (B) blue",
    [{"label": "A", "text": "red"}, {"label": "B", "text": "blue"}],
    {"text": ["red", "blue"], "label": ["A", "B"]},
    ["A. red", "B. blue"],
]


@pytest.mark.parametrize("layout", LAYOUTS, ids=map(str, LAYOUTS))
def test_layouts_of_options(layout: object) -> None:
    found = options.read(layout, 1, "options")
    assert sorted(found.texts, key=lambda text: found.texts[found.labelled("A") or 0] != text) == ["red", "blue"]


@pytest.mark.parametrize("value", [3, "red or blue", [["a"], ["b"]], {"A": None, "B": "x"}, "[" * 50_000, "A. red"])
def test_what_holds_no_options_is_said(value: object) -> None:
    with pytest.raises(LineProblem, match="has no options in 'options'"):
        options.read(value, 1, "options")


def test_missing_keys_and_missing_options_have_reasons(tmp_path: Path) -> None:
    rows = [
        row(0, [], "A"),
        row(1, None, "(b)"),
        row(2, FRUIT, None),
        row(3, FRUIT, float("nan")),
        row(4, FRUIT, "N/A"),
        row(5, FRUIT, "A, B"),
        row(6, FRUIT, ["A", "B"]),
        row(7, FRUIT, ["B"]),
        row(8, None, "None"),
        row(9, None, float("nan")),
        row(10, None, "green"),
        row(11, ["None", "One"], "None"),
    ]
    found, reasons = read(tmp_path, rows)
    assert found == {"Question 7?": "banana", "Question 10?": "green", "Question 11?": "None"}
    assert (
        reasons == ["missing_options"] * 2 + ["missing_field"] * 3 + ["ungradable_answer"] * 2 + ["missing_field"] * 2
    )


def test_no_whole_number_key_needs_no_convention() -> None:
    assert infer([(1, "B", options.Options(("x", "y"))), (2, "x", options.Options(("x", "y")))], "s") == Reading()
    assert infer([(1, 2, options.Options(("x", "y")))], "s").numbers is Convention.ONE_BASED


def test_the_choice_is_printed_recorded_and_shown_by_a_dry_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data.write_lines(tmp_path / "p/rows.jsonl", [row(n, FRUIT, n) for n in (1, 2, 4)])
    source = {"kind": "problems", "path": str(tmp_path / "p"), "columns": {"options": "options"}, "source": "fruit"}
    wanted = worlds.recipe_over(tmp_path, "http://127.0.0.1:1/v1", perception=None, text={"source": source})
    with writing(wanted) as run:
        gather.gather(gather.setting(run, wanted))
    assert "keys of options are one_based, as its rows show" in " ".join(capsys.readouterr().err.split())
    for _ in range(2):  # also when the source is not read again
        (declared,) = json.loads((run.path / "sources.json").read_text())["sources"]
        assert declared["keys"] == "one_based"
        with writing(wanted) as run:
            gather.gather(gather.setting(run, wanted))
    file = tmp_path / "recipe.yaml"
    file.write_text(recipe.dump(wanted), encoding="utf-8")
    assert cli.main(["build", str(file), "--dry-run"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "one_based" in shown
    assert "D: lime" in shown


def test_a_teachers_options_lose_letters_of_their_own() -> None:
    def reply(*texts: str) -> str:
        return json.dumps({"question": "Which?", "options": dict(zip("ABCD", texts, strict=True)), "answer": "B"})

    assert mcq.parse(reply("A. red", "B. teal", "C. ochre", "D. navy"), "stop").options == (
        "red",
        "teal",
        "ochre",
        "navy",
    )
    with pytest.raises(ParseError, match="letters of their own"):
        mcq.parse(reply("B. red", "A. teal", "C. ochre", "D. navy"), "stop")


@pytest.mark.parametrize(
    ("labelled", "answer", "said"),
    [
        (["1. u", "2. v", "3. w"], 1, {"zero_based": "v", "one_based": "u"}),
        ({"1": "u", "2": "v", "3": "w"}, 1, {"zero_based": "v", "one_based": "u"}),
    ],
)
def test_the_recipes_word_stands_above_labels_that_are_numbers(
    tmp_path: Path, labelled: object, answer: int, said: dict[str, str]
) -> None:
    for convention, text in said.items():
        found, _ = read(tmp_path / convention, [row(0, labelled, answer)], answers=convention)
        assert list(found.values()) == [text]


def test_labels_that_are_numbers_and_keys_that_count_otherwise_contradict_each_other(tmp_path: Path) -> None:
    labelled = ["1. u", "2. v", "3. w"]
    assert list(read(tmp_path / "0", [row(0, labelled, 1), row(1, labelled, 3)])[0].values()) == ["u", "w"]
    with pytest.raises(SourceError, match="no one convention"):
        read(tmp_path / "1", [row(0, labelled, 0), row(1, labelled, 1)])


@pytest.mark.parametrize("missing", [None, float("nan"), []])
def test_no_key_is_no_option_that_reads_none(tmp_path: Path, missing: object) -> None:
    assert read(tmp_path, [row(0, ["One", "None", "nan"], missing)]) == ({}, ["missing_field"])
    assert list(read(tmp_path / "1", [row(0, ["One", "None", "nan"], "None")])[0].values()) == ["None"]


@pytest.mark.parametrize(
    ("texts", "key"),
    [(["none of these", "A. x", "B. y"], "B"), (["x", "A) y", "B) z"], "A"), (["A. x", "A. y", "C. z"], "A")],
)
def test_a_key_that_is_the_label_of_another_option_is_refused(tmp_path: Path, texts: list[str], key: str) -> None:
    assert read(tmp_path, [row(0, texts, key)]) == ({}, ["ungradable_answer"])


def test_more_options_than_letters_are_a_bad_row(tmp_path: Path) -> None:
    many = [f"option {n}" for n in range(30)]
    found, reasons = read(tmp_path, [row(0, many, "option 3"), row(1, many, 28), row(2, FRUIT, "lime")])
    assert (list(found.values()), reasons) == (["lime"], ["ungradable_answer"] * 2)


@pytest.mark.parametrize(
    ("value", "texts"),
    [
        ("a ) 38 , b ) 27.675 , c ) 30", ("38", "27.675", "30")),
        ("A．三角形；B．圆", ("三角形", "圆")),
        ("1. x; 2. y", ("x", "y")),
        ("A) red B) blue", ("red", "blue")),
        (["x", "y", None, None], ("x", "y")),
        ({"A": "x", "B": "y", "E": None}, ("x", "y")),
        ([True, False], ("True", "False")),
        ({"text": ["x", "y"], "label": ["", ""]}, ("x", "y")),
        (float("nan"), ()),
        ("nan", ()),
    ],
)
def test_options_as_others_write_them(value: object, texts: tuple[str, ...]) -> None:
    assert options.read(value, 1, "options").texts == texts


def test_options_that_numpy_printed_are_said() -> None:
    with pytest.raises(LineProblem, match="without commas"):
        options.read("['Ohio' 'Utah']", 1, "options")


def test_options_stand_in_columns_of_their_own(tmp_path: Path) -> None:
    rows = [
        {"q": "Which?", "A": "x", "B": "y", "C": "z", "key": "C"},
        {"q": "What?", "A": "x", "B": "y", "C": None, "key": "B"},
        {"q": "Who?", "A": "x", "B": "y", "C": "", "key": "C"},
    ]
    data.write_lines(tmp_path / "p/rows.jsonl", rows)
    columns = {"problem": "q", "answer": "key", "options": ["A", "B", "C"]}
    found = data.read(data.section("problems", tmp_path / "p", columns=columns, source="s"), tmp_path / "run", TEXT)
    assert [(q.answer, q.options) for q in data.questions(found)] == [("C", ("x", "y", "z")), ("B", ("x", "y"))]
    assert data.reasons(found) == ["ungradable_answer"]
    bare = data.section("problems", tmp_path / "p", columns=columns | {"options": ""}, source="s")
    assert data.reasons(data.read(bare, tmp_path / "run", TEXT)) == ["missing_options"] * 3


def test_booleans_and_numbers_of_tables_are_answers(tmp_path: Path) -> None:
    rows = [row(0, ["True", "False"], True), row(1, FRUIT, "0.0"), row(2, FRUIT, "2.0"), row(3, FRUIT, "3.0")]
    assert list(read(tmp_path, rows, answers="zero_based")[0].values()) == ["True", "plum", "cherry", "lime"]


def test_whole_numbers_count_options_as_their_file_has_them(tmp_path: Path) -> None:
    rows = [row(0, ["B. red", "A. blue", "C. green"], 0), row(1, FRUIT, 3)]
    assert list(read(tmp_path, rows, answers="zero_based")[0].values()) == ["red", "lime"]


def test_one_text_that_is_a_number_leaves_letters_letters(tmp_path: Path) -> None:
    rows = [row(n, FRUIT, "ABCD"[n % 4]) for n in range(8)] + [row(8, ["10", "20", "40"], "40")]
    assert list(read(tmp_path, rows)[0].values()) == [*FRUIT, *FRUIT, "40"]


@pytest.mark.parametrize(
    ("texts", "key"),
    [
        (["A. thaliana", "D. melanogaster", "C. elegans"], "C. elegans"),
        (["J. Smith", "K. Jones"], "K. Jones"),
        (["J. Smith", "K. Jones"], "J. smith"),
        (["Option B", "Option A"], "Option A"),
        ({"A": "N", "B": "J", "C": "W"}, "J"),
    ],
)
def test_a_key_that_is_written_like_an_option_is_that_option(
    tmp_path: Path, texts: list[str] | dict[str, str], key: str
) -> None:
    found, reasons = read(tmp_path, [row(0, texts, key)])
    assert ([text.casefold() for text in found.values()], reasons) == ([key.casefold()], [])


def test_labels_and_texts_that_are_letters_contradict_each_other(tmp_path: Path) -> None:
    symbols = {"A": "N", "B": "C", "C": "W", "D": "B"}
    with pytest.raises(SourceError, match="letters or text"):
        read(tmp_path / "0", [row(0, symbols, "C")])
    assert list(read(tmp_path / "1", [row(0, symbols, "C"), row(1, FRUIT, "lime")])[0].values()) == ["C", "lime"]
    assert list(read(tmp_path / "2", [row(0, symbols, "C"), row(1, FRUIT, "D")])[0].values()) == ["W", "lime"]
    with pytest.raises(SourceError, match=r"says that answers of .* are letters"):
        read(tmp_path / "3", [row(0, ["O", "A", "B", "AB"], key) for key in ("O", "A", "B")], answers="letters")


def test_conventions_that_find_the_same_options_are_one(tmp_path: Path) -> None:
    numbers = ["0", "1", "2", "3"]
    assert list(read(tmp_path, [row(n, numbers, n) for n in range(4)])[0].values()) == numbers


def test_a_number_that_begins_several_options_names_none(tmp_path: Path) -> None:
    assert read(tmp_path, [row(0, ["5 m", "5 cm"], "5")])[1] == ["ungradable_answer"]


def test_labels_of_a_mapping_are_whatever_they_are_and_stand_once(tmp_path: Path) -> None:
    assert list(read(tmp_path, [row(0, {"T": "true", "F": "false"}, "F")])[0].values()) == ["false"]
    assert read(tmp_path / "1", [row(0, {"a": "x", "A": "y", "b": "z"}, "A")])[1] == ["malformed_line"]


def test_a_key_stands_behind_its_mark_also_where_there_are_options(tmp_path: Path) -> None:
    rows = [row(0, FRUIT, "It is yellow.\n#### B"), row(1, FRUIT, "No mark")]
    found, reasons = read(tmp_path, rows, gold={"after": "####"})
    assert (list(found.values()), reasons) == (["banana"], ["ungradable_answer"])
