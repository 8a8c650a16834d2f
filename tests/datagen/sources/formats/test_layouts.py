"""Data laid out as others lay it out: documents of rows, wrapped values, imagefolder, embedded pictures."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from capcurriculum.errors import SourceError
from capcurriculum.rows import Question, Stage, Verdict
from datagen.sources.options import choices
from tests.support import source_data as data

ROWS: list[dict[str, Any]] = [{"problem": f"What is {n} + {n}?", "answer": str(2 * n)} for n in range(3)]
BY_ID = {f"r{n}": row for n, row in enumerate(ROWS)}


def text(folder: Path, **keys: Any) -> list[data.Row]:
    keys.setdefault("columns", {})
    return data.read(data.section("problems", folder, source="s", **keys), folder.parent / "run", Stage.TEXT)


def visual(folder: Path, **keys: Any) -> list[data.Row]:
    keys.setdefault("columns", {})
    return data.read(data.section("problems", folder, source="s", **keys), folder.parent / "run")


def golds(rows: list[data.Row]) -> list[str]:
    return [row.answer for row in data.questions(rows)]


def details(rows: list[data.Row]) -> str:
    return "; ".join(row.detail for row in rows if isinstance(row, Verdict))


@pytest.mark.parametrize(
    "document",
    [
        json.dumps(ROWS),
        json.dumps(BY_ID),
        json.dumps(BY_ID, indent=2),
        json.dumps({"info": {"version": 1}, "data": ROWS}),
        json.dumps({"rows": ROWS, "counts": [1, 2]}, indent=1),
        "\n".join(map(json.dumps, ROWS)),
        "\ufeff" + json.dumps(BY_ID),
        json.dumps(ROWS)[:-1] + ', {"problem": "Known?", "answer": NaN}]',
        json.dumps(BY_ID)[:-1] + ', "r9": {"problem": "Known?", "answer": NaN}}',
    ],
    ids=[
        "array",
        "object",
        "indented",
        "wrapped",
        "wrapped among others",
        "lines",
        "with a mark",
        "NaN",
        "NaN, object",
    ],
)
def test_every_document_of_rows_is_read(tmp_path: Path, document: str) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "rows.json").write_text(document, encoding="utf-8")
    rows = text(tmp_path / "set")
    assert golds(rows) == ["0", "2", "4"]
    assert data.reasons(rows) == (["missing_field"] if "NaN" in document else [])


def test_a_row_of_an_object_is_known_by_its_name_there(tmp_path: Path) -> None:
    data.write_json(tmp_path / "set/rows.json", BY_ID)
    assert len(data.questions(text(tmp_path / "set", columns={"skill": "(key)"}))) == 3


def test_an_object_that_is_one_row_is_that_row(tmp_path: Path) -> None:
    data.write_json(tmp_path / "set/rows.json", ROWS[1])
    assert golds(text(tmp_path / "set")) == ["2"]


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"problem": {"0": "a?", "1": "b?"}, "answer": {"0": "1", "1": "2"}}, "column by column"),
        ({"problem": ["a?", "b?"], "answer": ["1", "2"]}, "column by column"),
        ({"train": ROWS, "test": ROWS}, "2 arrays of rows in it: 'train', 'test'"),
        ({"version": 1}, "no arrays of rows"),
        ({}, "no arrays of rows"),
    ],
)
def test_a_document_without_rows_says_what_it_is(tmp_path: Path, document: object, said: str) -> None:
    data.write_json(tmp_path / "set/rows.json", document)
    with pytest.raises(SourceError, match=said):
        text(tmp_path / "set")


@pytest.mark.parametrize(
    "document",
    [json.dumps(ROWS), json.dumps(BY_ID, indent=1), json.dumps({"data": ROWS})],
    ids=["array", "id", "inner"],
)
def test_a_document_that_breaks_off_is_refused_or_gives_its_whole_rows(tmp_path: Path, document: str) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "rows.json").write_text(document[:-20], encoding="utf-8")
    with pytest.raises(SourceError, match="take its 2 whole rows with incomplete: keep"):
        text(tmp_path / "set")
    rows = text(tmp_path / "set", incomplete="keep")
    assert golds(rows) == ["0", "2"]
    assert data.reasons(rows) == ["incomplete_file"]
    assert "breaks off after its first 2 rows" in details(rows)


def test_a_document_that_breaks_off_in_its_first_row_gives_nothing(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "rows.json").write_text('[{"problem": "a', encoding="utf-8")
    with pytest.raises(SourceError, match="not valid JSON after row 0"):
        text(tmp_path / "set", incomplete="keep")


def test_a_value_alone_in_lists_and_mappings_is_that_value(tmp_path: Path) -> None:
    rows = [
        {"problem": ["One?"], "answer": ["1"]},
        {"problem": "Two?", "answer": [{"value": "2"}]},
        {"problem": "Three?", "answer": {"value": 3}},
        {"problem": "Many?", "answer": ["2", "3"]},
        {"problem": "None?", "answer": []},
    ]
    data.write_json(tmp_path / "set/rows.json", rows)
    found = text(tmp_path / "set")
    assert golds(found) == ["1", "2", "3"]
    assert data.reasons(found) == ["missing_field", "missing_field"]
    assert "2 values in 'answer'" in details(found)


def test_a_column_reaches_into_lists_by_place(tmp_path: Path) -> None:
    turns = [{"from": "human", "value": "2 + 2?"}, {"from": "gpt", "value": "4"}]
    data.write_json(tmp_path / "set/rows.json", [{"turns": turns}, {"turns": turns[:1]}])
    found = text(tmp_path / "set", columns={"problem": "turns.0.value", "answer": "turns.1.value"})
    assert (golds(found), data.reasons(found)) == (["4"], ["missing_field"])


def test_conversations_of_orz_are_read_by_place_and_one_bad_row_ends_nothing(tmp_path: Path) -> None:
    document = [
        [{"from": "human"}],
        [{"from": "Human", "value": "1 + 1?"}, {"from": "Assistant", "ground_truth": {"value": "2"}}],
        [{"value": "1 + 2?"}, {"ground_truth": {"value": ["3"]}}],
        [{"from": "system", "value": "Be brief."}, {"from": "u", "value": "2 + 2?"}, {"ground_truth": {"value": 4}}],
        [{"from": "human", "value": "1 + 4?"}, {"from": "assistant", "value": "5"}],
    ]
    path = data.write_json(tmp_path / "rows.json", document)
    found = data.read(data.section("orz", path), tmp_path / "run", Stage.TEXT)
    assert (golds(found), data.reasons(found)) == (["2", "3", "4"], ["missing_field", "missing_field"])


def test_something_else_than_conversations_is_no_orz(tmp_path: Path) -> None:
    path = data.write_json(tmp_path / "rows.json", [[{"from": "human", "value": "a"}]] * 3)
    with pytest.raises(SourceError, match="does not begin with conversations"):
        data.read(data.section("orz", path), tmp_path / "run", Stage.TEXT)


@pytest.mark.parametrize(
    ("problem", "gold", "letter"),
    [
        (r"Find x. $\textbf{(A)}\ 10\qquad\textbf{(B)}\ 12\qquad\textbf{(C)}\ 15$", "12", "B"),
        (r"Find x. $\textbf{(A) }1\qquad\textbf{(B) }2\qquad\textbf{(C) }\frac{3}{4}$", r"\frac{3}{4}", "C"),
        (r"Find x. $\mathrm{(A) \ } 2\qquad \mathrm{(B) \ } 3\qquad \mathrm{(C) \ } 4$", "(C)", "C"),
        (r"Find x. $\text{(A)} \ 6 \qquad  \text{(B)} \ 6\frac{1}{2} \qquad  \text{(C)} \ 7$", "6", "A"),
        (r"Find x. $(\textbf{A})\: 1\qquad(\textbf{B})\: 2\qquad(\textbf{C})\: 3$", "3", "C"),
        (r"Find x. {\bf (A)} red {\bf (B)} blue {\bf (C)} green", "blue", "B"),
        (r"Find x. $(A)\ 1 \qquad (B)\ 2 \qquad (C)\ 3$", r"\textbf{(B)}", "B"),
        ("Find x. (A) 1 (B) 2 (C) 3 (D) 4", "(D)", "D"),
    ],
)
def test_choices_of_competitions_are_options(tmp_path: Path, problem: str, gold: str, letter: str) -> None:
    data.write_lines(tmp_path / "set/rows.jsonl", [{"problem": problem, "answer": gold}])
    (row,) = text(tmp_path / "set")
    assert isinstance(row, Question)
    assert (row.answer, row.kind, len(row.options) >= 3) == (letter, "choice", True)
    assert not any("$" in option or option.startswith((":", "\\ ", "~")) for option in row.options)


@pytest.mark.parametrize(
    "problem",
    [
        r"Find x. $\textbf{(A)}\ 10\qquad\textbf{(B)}\ 12\qquad\textbf{(C)}\ \text{none of these}$",
        "Find x. (A) 1 (B) 2 (C) 3 (D) 4",
    ],
)
def test_a_gold_beside_certain_choices_is_refused(tmp_path: Path, problem: str) -> None:
    data.write_lines(tmp_path / "set/rows.jsonl", [{"problem": problem, "answer": "77"}])
    rows = text(tmp_path / "set")
    assert data.reasons(rows) == ["ungradable_answer"]
    assert "none of the choices" in details(rows)
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / "problems.jsonl").write_text(json.dumps({"problem": problem, "answer": "77"}) + "\n")
    assert data.reasons(text(tmp_path / "plain", columns=None)) == ["ungradable_answer"]


@pytest.mark.parametrize(
    "problem",
    [
        "Take (A) an acute, (B) a right and (C) an obtuse angle. What is 3 + 4?",
        r"Find all $f$ with $f(A)+f(B)+f(C)+f(D)=7$.",
        r"A clock shows $\text{A:BC}$ with digits $\text{A}$, $\text{B}$ and $\text{C}$. What is their sum?",
        "A. B is the spy. B. A is the spy. C. C is me. Who is the spy?",
    ],
)
def test_what_only_looks_like_choices_is_none(tmp_path: Path, problem: str) -> None:
    data.write_lines(tmp_path / "set/rows.jsonl", [{"problem": problem, "answer": "7"}])
    (row,) = text(tmp_path / "set")
    assert isinstance(row, Question)
    assert (row.answer, row.options) == ("7", ())


def test_options_beside_a_plain_problem_are_not_passed_over(tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    line = json.dumps({"problem": "Which?", "options": ["a", "b"], "answer": "B"})
    (tmp_path / "plain" / "problems.jsonl").write_text(line + "\n")
    assert data.reasons(text(tmp_path / "plain", columns=None)) == ["missing_options"]


@pytest.mark.parametrize(
    ("problem", "left"),
    [
        ("<image1> What?", "What?"),
        ("What?\n<image1>", "What?"),
        ("<image>\n<image 1>What?", "What?"),
        ("See.\n<image_1>\nWhat?", "See.\nWhat?"),
        ("As in <image 1>, what?", "As in (image), what?"),
        ("What is <b>?", "What is <b>?"),
        ("<image>", ""),
        ("x" + "<image>" * 30_000, "x"),
    ],
)
def test_places_for_pictures_are_taken_out(problem: str, left: str) -> None:
    assert choices.without_placeholders(problem) == left


def test_places_for_more_pictures_than_the_row_has_are_refused(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"problem": "Compare <image1> and <image2>.", "answer": "3", "image": "p.png"},
        {"problem": "Which?", "answer": "A", "options": ["<image1>", "<image2>"], "image": "p.png"},
        {"problem": "How many in <image1>?", "answer": "3", "image": "p.png"},
    ]
    data.write_lines(tmp_path / "set/rows.jsonl", rows)
    (tmp_path / "set/p.png").write_bytes(data.picture(1))
    found = visual(tmp_path / "set", columns={"options": "options"})
    assert (golds(found), data.reasons(found)) == (["3"], ["several_images", "several_images"])
    assert data.reasons(text(tmp_path / "set"))[:1] == ["needs_picture"]


def imagefolder(folder: Path) -> Path:
    """Two splits with their metadata, one as CSV, and pictures of the same name in both."""
    data.write_lines(folder / "train/metadata.jsonl", [{"file_name": "1.png", "problem": "Which?", "answer": "red"}])
    rows = [{"file_name": "more/1.png", "problem": "What?", "answer": "blue"}]
    (folder / "validation/more").mkdir(parents=True)
    data.write_csv(folder / "validation/metadata.csv", rows)
    (folder / "train/1.png").write_bytes(data.picture(1))
    (folder / "validation/more/1.png").write_bytes(data.picture(2))
    return folder


def test_pictures_of_an_imagefolder_lie_beside_its_metadata(tmp_path: Path) -> None:
    rows = data.questions(visual(imagefolder(tmp_path / "set")))
    assert {row.image_path for row in rows} == {"link/train/1.png", "link/validation/more/1.png"}
    assert len({row.image_id for row in rows}) == 2
    named = data.questions(visual(tmp_path / "set", columns={"image": "file_name"}))
    assert [row.question_id for row in named] == [row.question_id for row in rows]


@pytest.mark.parametrize(("splits", "gold"), [(["train"], "red"), (["validation"], "blue"), (["val"], "blue")])
def test_folders_tell_splits(tmp_path: Path, splits: list[str], gold: str) -> None:
    rows = visual(imagefolder(tmp_path / "set"), splits=splits)
    assert (golds(rows), data.reasons(rows)) == ([gold], ["unselected_split"])


def test_names_of_files_tell_splits(tmp_path: Path) -> None:
    data.write_json(tmp_path / "set/train-00000-of-00001.json", ROWS[:1])
    data.write_lines(tmp_path / "set/test.jsonl", ROWS[1:])
    rows = text(tmp_path / "set", splits=["train"])
    assert (golds(rows), data.reasons(rows)) == (["0"], ["unselected_split"] * 2)


def test_splits_that_nothing_tells_are_refused(tmp_path: Path) -> None:
    data.write_json(tmp_path / "set/rows.json", ROWS)
    with pytest.raises(SourceError, match="names of its files tell no split"):
        text(tmp_path / "set", splits=["train"])


def test_pictures_inside_texts_are_read(tmp_path: Path) -> None:
    encoded = [base64.b64encode(data.picture(n)).decode() for n in range(6)]
    pictures: list[Any] = [
        encoded[0],
        f"data:image/png;base64,{encoded[1]}",
        {"bytes": encoded[2], "path": None},
        [encoded[3]],
        {"url": f"data:image/png;base64,{encoded[4]}"},
        "\n".join(encoded[5][at : at + 60] for at in range(0, len(encoded[5]), 60)),
    ]
    bad = [encoded[0][:68], f"data:image/png;base64,{encoded[0][:50]}!!", "data:,hello", "https://a.example/x.png"]
    rows = [{"problem": f"{n}?", "answer": "red", "image": image} for n, image in enumerate([*pictures, *bad])]
    data.write_lines(tmp_path / "set/rows.jsonl", rows)
    found = visual(tmp_path / "set")
    assert len({row.image_id for row in data.questions(found)}) == 6
    assert data.reasons(found) == ["unreadable_image"] * 3 + ["missing_file"]
    assert "download its images" in details(found)
    assert max(len(row.detail) for row in found if isinstance(row, Verdict)) < 300


def test_an_embedded_picture_is_bounded_before_it_is_decoded(tmp_path: Path) -> None:
    image = "data:image/png;base64," + "A" * 10_000
    data.write_lines(tmp_path / "set/rows.jsonl", [{"problem": "What?", "answer": "red", "image": image}])
    assert data.reasons(visual(tmp_path / "set", max_bytes=1000)) == ["image_too_large"]


def test_the_header_tells_what_parts_the_columns_of_a_csv(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set/a.csv").write_bytes("\ufeffproblem;answer\r\n1 + 1?;2\r\n1,5 + 2?;3,5\r\n".encode())
    assert golds(text(tmp_path / "set")) == ["2", "3,5"]


def test_members_of_an_archive_are_found_in_other_capitals_where_one_alone_fits(tmp_path: Path) -> None:
    names = ["Images/Photo.JPG", "images/caf\u00e9.png", "a/twin.png"]
    rows = [{"problem": f"{n}?", "answer": "red", "image": name} for n, name in enumerate(names)]
    data.write_lines(tmp_path / "set/rows.jsonl", rows)
    members = ["images/photo.jpg", "images/cafe\u0301.png", "a/Twin.png", "a/TWIN.png"]
    data.zipped(tmp_path / "set/p.zip", {name: data.picture(n) for n, name in enumerate(members)})
    found = visual(tmp_path / "set", images="p.zip", files=["*.jsonl"])
    assert (len(data.questions(found)), data.reasons(found)) == (2, ["missing_file"])
    assert "several are spelled like it: p.zip/a/TWIN.png, p.zip/a/Twin.png" in details(found)


@pytest.mark.parametrize(
    ("answer", "gold"), [('["34"]', "34"), ("{'answer': '5'}", "5"), ("[1, 2]", "[1, 2]"), ("(1, 2)", "(1, 2)")]
)
def test_a_list_of_one_text_as_text_is_that_text(tmp_path: Path, answer: str, gold: str) -> None:
    data.write_lines(tmp_path / "set/rows.jsonl", [{"problem": "What?", "answer": answer}])
    assert golds(text(tmp_path / "set")) == [gold]


@pytest.mark.parametrize("answer", ["['0.5', '1/2']", "notfound", "N/A", "", "48/2 = 24\n#### 72"])
def test_what_is_no_single_answer_is_refused(tmp_path: Path, answer: str) -> None:
    data.write_lines(tmp_path / "set/rows.jsonl", [{"problem": "What?", "answer": answer}])
    assert data.reasons(text(tmp_path / "set")) in (["missing_field"], ["ungradable_answer"])


def test_captions_that_say_there_is_none_or_several_are_refused(tmp_path: Path) -> None:
    rows = [{"image": "p.png", "caption": said} for said in ("N/A", "nan", '["one", "two"]', "A red bus.")]
    data.write_lines(tmp_path / "set/rows.jsonl", rows)
    (tmp_path / "set/p.png").write_bytes(data.picture(1))
    section = data.section("captions", tmp_path / "set", columns={}, source="s")
    found = data.read(section, tmp_path / "run", Stage.PERCEPTION)
    assert data.reasons(found) == ["missing_field"] * 3


@pytest.mark.parametrize(
    "problem",
    [
        "x = 4, so x is ( )\nA. 3 B. 4 C. 5 D. 6",
        "若x=4，则x为（　　）\nA．3　　B．4　　C．5　　D．6",
        "若z=4，则z为\nA、3 B、4 C、5 D、6",
        "若w=4，则w为（A）3 （B）4 （C）5 （D）6",
        "What is x?\nChoices:\nA: 3\nB: 4\nC: 5",
        "What is x?\n**A.** 3\n**B.** 4\n**C.** 5\n**D.** 6",
        r"What is x? \begin{enumerate}\item[(A)] 3 \item[(B)] 4 \item[(C)] 5 \item[(D)] 6\end{enumerate}",
    ],
)
def test_choices_that_are_sure_are_read_by_letter_and_value_and_refused_beside_another(
    tmp_path: Path, problem: str
) -> None:
    rows = [
        {"problem": f"{n}: {problem}", "answer": said} for n, said in enumerate(["B", "4", "答案：B", "7", "E", "AB"])
    ]
    data.write_lines(tmp_path / "set/rows.jsonl", rows)
    found = text(tmp_path / "set")
    assert golds(found) == ["B", "B", "B"]
    assert {row.options[1] for row in data.questions(found)} == {"4"}
    assert data.reasons(found) == ["ungradable_answer"] * 3


def test_conditions_by_small_letters_are_no_choices(tmp_path: Path) -> None:
    problem = "Find N with \n(a) $A<B$, \n(b) $B<C$, \n(c) $C<99$, and \n(d) $p$ divides $A$."
    data.write_lines(tmp_path / "set/rows.jsonl", [{"problem": problem, "answer": "272"}])
    assert golds(text(tmp_path / "set")) == ["272"]


def test_what_stands_behind_the_last_choice_is_none_of_it(tmp_path: Path) -> None:
    problem = "How wide?\nA. 20\nB. 40\nC. 60\nD. 80\nAnswer with the letter."
    data.write_lines(tmp_path / "set/rows.jsonl", [{"problem": problem, "answer": "D"}])
    (row,) = data.questions(text(tmp_path / "set"))
    assert row.options == ("20", "40", "60", "80")


def test_rows_that_ask_the_same_and_answer_otherwise_are_all_refused(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"problem": "What is 2 + 2?", "answer": "4"},
        {"problem": "What is 2  + 2?", "answer": "5"},
        {"problem": "What is 1/2?", "answer": "0.5"},
        {"problem": "What is 1/2?", "answer": r"\frac{1}{2}"},
        {"problem": "Which? (A) 1 (B) 2 (C) 3 (D) 4", "answer": "B"},
        {"problem": "Which? (A) 1 (B) 2 (C) 3 (D) 4", "answer": "2"},
    ]
    data.write_lines(tmp_path / "set/rows.jsonl", rows)
    found = text(tmp_path / "set")
    assert golds(found) == ["0.5", r"\frac{1}{2}", "B"]
    assert data.reasons(found) == ["contradicting_answers"] * 2 + ["duplicate_row"]
    rows = [{"problem": "Which colour?", "answer": gold, "image": f"{n}.png"} for n, gold in enumerate(["red", "blue"])]
    (tmp_path / "plain").mkdir()
    plain = [{"problem": "1 + 1?", "answer": said} for said in ("2", "3")] + [{"problem": "2 + 2?", "answer": "4"}]
    data.write_lines(tmp_path / "plain/problems.jsonl", plain)
    found = text(tmp_path / "plain", columns=None)
    assert (golds(found), data.reasons(found)) == (["4"], ["contradicting_answers"] * 2)
    data.write_lines(tmp_path / "seen/rows.jsonl", rows)
    for n in range(2):
        (tmp_path / f"seen/{n}.png").write_bytes(data.picture(n))
    assert golds(visual(tmp_path / "seen")) == ["red", "blue"]


def test_a_member_of_a_tar_that_two_rows_name_is_read_once(tmp_path: Path) -> None:
    names = ["images/1.png", "./images/1.png", "1.png", "images\\1.png"]
    rows = [{"problem": f"{n}?", "answer": "red", "image": name} for n, name in enumerate(names)]
    data.write_lines(tmp_path / "set/rows.jsonl", rows)
    data.tar(tmp_path / "set/p.tar.gz", {"images/1.png": data.picture(1), "images/2.png": data.picture(2)})
    assert len(data.questions(visual(tmp_path / "set", images="p.tar.gz", files="*.jsonl"))) == 4


@pytest.mark.parametrize(
    ("problem", "gold"),
    [
        ("Conditions on n:\nA. n > 1\nB. n < 3\nC. n is whole\nD. n is even\nWhich n satisfies all?", "2"),
        ("A. I am a spy.\nB. A is the spy.\nC. Who is the spy?", "A"),
    ],
)
def test_statements_with_a_question_behind_them_are_no_choices_unless_the_key_says_so(
    tmp_path: Path, problem: str, gold: str
) -> None:
    data.write_lines(tmp_path / "set/rows.jsonl", [{"problem": problem, "answer": gold}])
    (row,) = data.questions(text(tmp_path / "set"))
    assert (row.answer, bool(row.options)) == (gold, gold == "A")


def test_the_recipe_may_say_that_answers_are_no_letters_of_options(tmp_path: Path) -> None:
    rows = [{"problem": f"Which point is {n}?\nA. low\nB. high\nC. far\nD. near", "answer": "A"} for n in range(3)]
    data.write_lines(tmp_path / "set/rows.jsonl", rows)
    assert all(row.options for row in data.questions(text(tmp_path / "set")))
    said = text(tmp_path / "set", columns={"answer": {"column": "answer", "kind": "text"}})
    assert [row.options for row in data.questions(said)] == [(), (), ()]
    data.write_lines(tmp_path / "bare/rows.jsonl", [{"problem": f"Which point? {n}", "answer": "B"} for n in range(3)])
    assert data.reasons(text(tmp_path / "bare")) == ["missing_options"] * 3
    assert golds(text(tmp_path / "bare", columns={"answer": {"column": "answer", "kind": "text"}})) == ["B"] * 3


def test_numbers_beside_three_choices_are_refused(tmp_path: Path) -> None:
    data.write_lines(tmp_path / "set/rows.jsonl", [{"problem": "Which?\nA. cat\nB. dog\nC. cow", "answer": 0}])
    assert data.reasons(text(tmp_path / "set")) == ["ungradable_answer"]


def test_narrow_decimal_numbers_are_what_they_read(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    (tmp_path / "set").mkdir()
    table = pa.table({"problem": ["A?", "B?"], "answer": pa.array([0.1, 2.5], pa.float32())})
    pq.write_table(table, tmp_path / "set/rows.parquet")
    assert golds(text(tmp_path / "set")) == ["0.1", "2.5"]


def test_a_column_that_stands_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set/rows.csv").write_text("problem,answer,answer\n1 + 1?,2,3\n")
    with pytest.raises(SourceError, match="'answer' 2 times"):
        text(tmp_path / "set")


def test_an_archive_that_breaks_off_in_a_member_is_one_sentence(tmp_path: Path) -> None:
    data.write_lines(tmp_path / "set/rows.jsonl", [{"problem": "What?", "answer": "red", "image": "1.png"}])
    noise = data.picture(1, side=40) + bytes(range(256)) * 400
    bundle = data.tar(tmp_path / "set/p.tar", {"1.png": noise})
    bundle.write_bytes(bundle.read_bytes()[: bundle.stat().st_size // 2])
    with pytest.raises(SourceError, match=r"cannot be read .*download it again"):
        visual(tmp_path / "set", images="p.tar", files="*.jsonl")


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "bit", [" ", "\n", "(A) ", "A. ", "\\qquad", "\\textbf{(A)} ", "{ ", "Choices: ", "' '", "the answer is "]
)
def test_texts_of_one_thing_over_and_over_cost_little(tmp_path: Path, bit: str) -> None:
    long = bit * (50_000 // len(bit))
    problem = rf"Find $\textbf{{(A)}}\ 1{long}x \qquad\textbf{{(B)}}\ 2\qquad\textbf{{(C)}}\ 3$"
    rows = [
        {"problem": problem, "answer": "B", "options": None},
        {"problem": "Q?", "answer": "B", "options": long + "x"},
    ]
    data.write_lines(tmp_path / "set/rows.jsonl", rows)
    assert len(text(tmp_path / "set")) == 2
    assert len(text(tmp_path / "set", columns={"options": "options"})) == 2
