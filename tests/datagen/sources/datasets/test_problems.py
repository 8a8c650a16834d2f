"""Problem sources of the text and visual stages, each on a small copy of its upstream layout."""

import json
from pathlib import Path

import pytest
from PIL import Image

from capcurriculum.answers import grade
from capcurriculum.errors import SourceError
from capcurriculum.rows import CaptionedImage, Stage
from tests.support import source_data as data

TEXT = Stage.TEXT


def test_orz_conversations_become_graded_problems(tmp_path: Path) -> None:
    file = data.orz(
        tmp_path / "orz_math_13k_collection_hard.json", ("What is 1+1?", "2"), ("Empty?", " "), ("Bad?", "}")
    )
    rows = data.read(data.section("orz", tmp_path), tmp_path / "run", TEXT)
    (question,) = data.questions(rows)
    assert (question.problem, question.answer, question.source, question.license, question.image_path) == (
        "What is 1+1?", "2", "ORZ-Math-13k", "mit", "",
    )  # fmt: skip
    assert data.reasons(rows) == ["missing_field", "ungradable_answer"]
    assert data.questions(data.read(data.section("orz", file), tmp_path / "run", TEXT)) == [question]


def test_orz_options_in_the_text_count_only_if_the_answer_is_one_of_them(tmp_path: Path) -> None:
    options = "Which? (A) 1 (B) 2 (C) 3"
    file = data.orz(
        tmp_path / "o.json", (f"{options}\nChoices: A: 1 B: 2 C: 3", "B"), ("Let A: 3 and B: 4. A + B?", "7")
    )
    first, second = data.questions(data.read(data.section("orz", file), tmp_path / "run", TEXT))
    assert (first.options, first.answer) == (("1", "2", "3"), "B")
    assert (second.options, second.answer) == ((), "7")


@pytest.mark.parametrize("content", [[{"problem": "x", "answer": "1"}], [[{"from": "system", "value": "x"}]]])
def test_orz_of_another_layout_is_one_sentence(tmp_path: Path, content: object) -> None:
    file = data.write_json(tmp_path / "o.json", content)
    with pytest.raises(SourceError, match="conversation"):
        data.read(data.section("orz", file), tmp_path / "run", TEXT)


def test_json_that_breaks_off_is_one_sentence(tmp_path: Path) -> None:
    file = data.orz(tmp_path / "o.json", ("What is 1+1?", "2"))
    file.write_text(file.read_text()[:-4])
    with pytest.raises(SourceError, match=r"not valid JSON after row .*download it again"):
        data.read(data.section("orz", file), tmp_path / "run", TEXT)


def test_vlaa_takes_the_papers_parts_each_with_its_licence(tmp_path: Path) -> None:
    folder = data.vlaa(tmp_path / "vlaa")
    rows = data.read(data.section("vlaa", folder), tmp_path / "run")
    found = {q.skill: q for q in data.questions(rows)}
    assert {part: (q.answer, q.license) for part, q in found.items()} == {
        "clevr_math": ("3", "cc-by-4.0"),
        "geoqa170k": ("D", "unknown"),
        "synthesis": ("y = -5 * x", "gpl-3.0"),
        "arxivqa": ("B", "cc-by-sa-4.0"),
    }
    assert found["geoqa170k"].options == ("80°", "60°", "50°", "40°")
    assert found["arxivqa"].options == ("The ratio.", "The rate.", "Neither.")
    assert found["arxivqa"].source == "VLAA-Thinking-GRPO-25K/arxivqa"
    assert data.reasons(rows) == ["unselected_part"] * 2
    for question in found.values():
        assert question.image_path.startswith(f"images/{question.image_id[:2]}/{question.image_id}.")
        with Image.open(tmp_path / "run" / question.image_path) as image:
            assert image.size == (40, 40)
    assert len(list((tmp_path / "run/images").glob("??/*"))) == 4  # nothing that no row names is kept


def test_vlaa_parts_and_counts_are_the_recipes(tmp_path: Path) -> None:
    folder = data.vlaa(tmp_path / "vlaa")
    twice = json.loads((folder / "VLAA-Thinking-GRPO-25K.json").read_text())
    data.write_json(folder / "VLAA-Thinking-GRPO-25K.json", [twice[0], twice[0] | {"question": "How many?"}, twice[4]])
    rows = data.read(data.section("vlaa", folder, parts={"clevr_math": 1, "docvqa": None}), tmp_path / "run")
    assert [q.skill for q in data.questions(rows)] == ["clevr_math", "docvqa"]
    assert data.reasons(rows) == ["unselected_part"]
    with pytest.raises(SourceError, match="no part nonsense to take"):
        data.read(data.section("vlaa", folder, parts={"nonsense": 1}), tmp_path / "run")


def test_vlaa_without_a_parts_archive_or_with_it_unpacked(tmp_path: Path) -> None:
    folder = data.vlaa(tmp_path / "vlaa")
    (folder / "images/clevr_math.tar.gz").unlink()
    only = data.section("vlaa", folder, parts={"clevr_math": 1})
    with pytest.raises(SourceError, match=r"neither clevr_math.tar.gz nor a folder clevr_math"):
        data.read(only, tmp_path / "run")
    (folder / "images/clevr_math").mkdir()
    (folder / "images/clevr_math/CLEVR_train_027977.png").write_bytes(data.picture(1))
    (question,) = data.questions(data.read(only, tmp_path / "run"))
    assert question.image_path == "link/images/clevr_math/CLEVR_train_027977.png"


def test_a_missing_column_is_named_beside_those_that_are_there(tmp_path: Path) -> None:
    folder = data.vlaa(tmp_path / "vlaa")
    data.write_json(
        folder / "VLAA-Thinking-GRPO-25K.json", [{"image": "clevr_math/a.png", "question": "?", "answer": 1}]
    )
    with pytest.raises(SourceError, match=r"no column 'gt'; it has answer, image, question"):
        data.read(data.section("vlaa", folder), tmp_path / "run")


@pytest.mark.parametrize("unpacked", [False, True])
def test_clevr_math_from_its_zips(tmp_path: Path, unpacked: bool) -> None:
    row = {
        "split": "train", "image_filename": "CLEVR_train_000001.png", "template_filename": "subtraction.json",
        "question": "Subtract all cubes. How many objects are left?", "answer": 4, "program": [],
    }  # fmt: skip
    questions = json.dumps(
        {"info": {}, "questions": [row, row | {"image_filename": "CLEVR_train_000009.png"}]}
    ).encode()
    folder = tmp_path / "clevr"
    data.zipped(folder / "data/clevr-math.zip", {"clevr-math-train.json": questions})
    name = "CLEVR_v1.0/images/train/CLEVR_train_000001.png"
    if unpacked:
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_bytes(data.picture(5))
    else:
        wrong = name.replace("train/", "val/")
        data.zipped(folder / "data/CLEVR_v1.0.zip", {wrong: data.picture(6), name: data.picture(5)})
    rows = data.read(data.section("clevr_math", folder), tmp_path / "run")
    (question,) = data.questions(rows)
    assert (question.answer, question.skill, question.license) == ("4", "subtraction", "cc-by-4.0")
    assert data.reasons(rows) == ["missing_file"]
    assert question.image_path.startswith("link/CLEVR_v1.0/" if unpacked else "images/")


@pytest.mark.parametrize("form", ["json", "parquet"])
def test_geo170k_reads_the_letter_its_solution_ends_in(tmp_path: Path, form: str) -> None:
    def row(image: str, question: str, reply: str) -> dict[str, object]:
        turns = [{"from": "human", "value": question}, {"from": "gpt", "value": reply}]
        return {"image": image, "conversations": turns}

    rows = [
        row("geoqa_plus/49.png", f"{data.PREAMBLE}As shown, what is angle B?\n{data.CHOICES}", data.GPT_SOLUTION),
        row("geoqa_plus/49.png", f"{data.PREAMBLE}And angle C?\n{data.CHOICES}", "It cannot be told."),
        row("geo3k/train/0/img_diagram.png", "<image>\nFind x.", "So x is twice 4. The answer is 8."),
    ]
    if form == "json":
        data.write_json(tmp_path / "geo/qa_tuning.json", rows)
    else:
        data.parquet(tmp_path / "geo/data/qa_tuning-00000-of-00001.parquet", rows)
    names = ("images/geoqa_plus/49.png", "images/geo3k/train/0/img_diagram.png")
    data.zipped(tmp_path / "geo/images.zip", {name: data.picture(n) for n, name in enumerate(names)})
    found = data.read(data.section("geo170k", tmp_path / "geo"), tmp_path / "run")
    choice, free = data.questions(found)
    assert choice.problem == f"As shown, what is angle B?\n{data.CHOICES}"
    assert (choice.answer, choice.options) == ("D", ("80°", "60°", "50°", "40°"))
    assert (free.problem, free.answer, free.options) == ("Find x.", "8", ())
    assert data.reasons(found) == ["ungradable_answer"]


def test_math_puma_gives_the_answer_after_the_dagger_and_its_licence(tmp_path: Path) -> None:
    rows = [
        {
            "image_url": "images/a.png",
            "instruction": "What is a?",
            "output": "Step 1: ...\n\n†Answer: 5",
            "image_url_2": "",
        },
        {
            "image_url": "images/a.png",
            "instruction": "What is b?",
            "output": "Many words that end in no answer at all.",
        },
    ]
    data.write_json(tmp_path / "puma/Synthesis/train.json", rows)
    data.tar(tmp_path / "puma/Synthesis/images.tar.gz", {"./images/a.png": data.picture(3)})
    found = data.read(data.section("math_puma", tmp_path / "puma"), tmp_path / "run")
    (question,) = data.questions(found)
    assert (question.answer, question.license) == ("5", "gpl-3.0")
    assert data.reasons(found) == ["ungradable_answer"]


@pytest.mark.parametrize(
    ("options", "label", "answer"),
    [
        (["A) Red", "B) Blue"], "B", "B"),
        (["A. Red", "B. Blue"], "A.", "A"),
        (["Red", "Blue"], "[B]", "B"),
        (["Red", "Blue"], "Blue", "B"),
        (["A) Red", "B) Blue"], "A) Blue", None),
        (["Red", "Blue"], "A, B", None),
        (["Red", "Red"], "A", None),
        (["Red", "Blue"], "E", None),
        ([], "A", None),
    ],
)
def test_arxivqa_labels_are_read_or_refused(tmp_path: Path, options: list[str], label: str, answer: str | None) -> None:
    row = {
        "id": "q",
        "image": "images/1810.10511_0.jpg",
        "question": "Which colour?",
        "options": options,
        "label": label,
    }
    data.write_lines(tmp_path / "a/arxivqa.jsonl", [row | {"rationale": "r"}])
    data.tar(tmp_path / "a/images.tgz", {"images/1810.10511_0.jpg": data.picture(1, kind="JPEG")})
    rows = data.read(data.section("arxivqa", tmp_path / "a"), tmp_path / "run")
    assert data.reasons(rows) == ([] if answer else ["ungradable_answer"])
    for question in data.questions(rows):
        assert (question.answer, question.options, question.license) == (answer, ("Red", "Blue"), "cc-by-sa-4.0")
        assert "A: Red\nB: Blue\n" in question.problem


def test_docvqa_keeps_rows_with_one_accepted_answer(tmp_path: Path) -> None:
    def row(question: str, answers: list[str] | None) -> dict[str, object]:
        image = {"bytes": data.picture(len(question)), "path": None}
        return {"questionId": "1", "question": question, "question_types": ["form"], "image": image, "answers": answers}

    rows = [
        row("Which year?", ["1997"]),
        row("Who wrote it?", ["ITC Limited", "itc  limited"]),
        row("How?", ["a", "b"]),
    ]
    data.parquet(tmp_path / "d/DocVQA/train-00000-of-00001.parquet", [*rows, row("Test?", None)])
    found = data.read(data.section("docvqa", tmp_path / "d"), tmp_path / "run")
    assert [q.answer for q in data.questions(found)] == ["1997", "ITC Limited"]
    assert data.reasons(found) == ["ungradable_answer", "missing_field"]
    with pytest.raises(SourceError, match=r"has no DocVQA/test-\*.parquet .*it has: DocVQA"):
        data.read(data.section("docvqa", tmp_path / "d", splits=["test"]), tmp_path / "run")


def test_problems_of_any_data_set_by_column_mapping(tmp_path: Path) -> None:
    rows = [
        {"q": "1 + 1?", "truth": {"value": "2"}, "kind": "sum", "set": "train", "terms": "mit"},
        {"q": "2 + 2?", "truth": {"value": "4"}, "kind": "sum", "set": "test", "terms": "mit"},
        {"q": "3 + 3?", "truth": None, "kind": "sum", "set": "train", "terms": "mit"},
    ]
    data.write_lines(tmp_path / "p/rows.jsonl", rows)
    columns = {"problem": "q", "answer": "truth.value", "skill": "kind", "split": "set", "license": "terms"}
    section = data.section("problems", tmp_path / "p", columns=columns, splits=["train"], source="sums")
    found = data.read(section, tmp_path / "run", TEXT)
    (question,) = data.questions(found)
    assert (question.problem, question.answer, question.skill, question.license) == ("1 + 1?", "2", "sum", "mit")
    assert data.reasons(found) == ["unselected_split", "missing_field"]


def test_a_choice_by_the_place_of_its_answer(tmp_path: Path) -> None:
    rows = [{"problem": "Which?", "answer": 1, "choices": ["red", "blue"], "image": [{"bytes": data.picture(2)}]}]
    data.parquet(tmp_path / "p/x.parquet", rows)
    columns = {"options": "choices", "answers": "zero_based"}
    section = data.section("problems", tmp_path / "p", columns=columns, source="s")
    (question,) = data.questions(data.read(section, tmp_path / "run"))
    assert (question.answer, question.options) == ("B", ("red", "blue"))


def test_labels_are_taken_off_options_once(tmp_path: Path) -> None:
    row = {"problem": "Who?", "choices": ["(A) A. Smith", "(B) B. Jones", "(C) C. Brown"], "answer": "B"}
    data.write_lines(tmp_path / "p/r.jsonl", [row])
    section = data.section("problems", tmp_path / "p", columns={"options": "choices"})
    (question,) = data.questions(data.read(section, tmp_path / "run", TEXT))
    assert (question.answer, question.options) == ("B", ("A. Smith", "B. Jones", "C. Brown"))


def test_reading_again_with_what_is_known_gives_nothing_and_opens_no_archive(tmp_path: Path) -> None:
    section = data.section("vlaa", data.vlaa(tmp_path / "vlaa"))
    first = data.read(section, tmp_path / "run")
    for path in (tmp_path / "vlaa/images").iterdir():
        path.write_bytes(b"no archive any more")
    known = frozenset(row.question_id for row in first if not isinstance(row, CaptionedImage))
    assert data.read(section, tmp_path / "run", known=known) == []


def test_the_final_answer_of_a_worked_solution_is_taken_by_its_mark(tmp_path: Path) -> None:
    rows = [
        {"question": "How many eggs?", "answer": "She sells 9 eggs <<16-7=9>>.\nThat is 9 * 2 = 18.\n#### 18"},
        {"question": "How much?", "answer": "#### 7 is wrong, so\n#### 1,080\nafter it"},
        {"question": "What?", "answer": "It never says"},
        {"question": "Why?", "answer": "It says nothing ####  "},
    ]
    data.write_lines(tmp_path / "p/rows.jsonl", rows)
    columns = {"problem": "question", "answer": {"column": "answer", "kind": "number"}, "gold": {"after": "####"}}
    found = data.read(data.section("problems", tmp_path / "p", columns=columns, source="s"), tmp_path / "run", TEXT)
    assert [(q.answer, q.kind) for q in data.questions(found)] == [("18", "number"), ("1,080", "number")]
    assert data.reasons(found) == ["ungradable_answer"] * 2


def test_a_paragraph_is_no_gold_answer(tmp_path: Path) -> None:
    solution = "First we add the two numbers that the text names, then we divide what we have by three.\n" * 2
    rows = [
        {"problem": "How many?", "answer": solution},
        {"problem": "Where?", "answer": "at the corner of Main Street and Second Avenue in Springfield"},
        {"problem": "Which?", "answer": r"\frac{a_1 + b_1 + c_1 + d_1 + e_1 + f_1}{\sin x + \cos y + \tan z}"},
    ]
    data.write_lines(tmp_path / "p/rows.jsonl", rows)
    columns = {"problem": "problem"}
    found = data.read(data.section("problems", tmp_path / "p", columns=columns, source="s"), tmp_path / "run", TEXT)
    assert [q.kind for q in data.questions(found)] == ["text", "expression"]
    (refused,) = [row for row in found if row not in data.questions(found)]
    assert (refused.reason, "gold: {after: ...}" in refused.detail) == ("ungradable_answer", True)


def test_a_source_may_say_that_its_answers_are_text(tmp_path: Path) -> None:
    data.write_lines(tmp_path / "p/rows.jsonl", [{"problem": "What stands on the sign?", "answer": "5-3"}])
    columns = {"answer": {"kind": "text"}}
    (question,) = data.questions(
        data.read(data.section("problems", tmp_path / "p", columns=columns, source="s"), tmp_path / "run", TEXT)
    )
    assert question.kind == "text"
    assert grade(r"\boxed{2}", question.answer, kind=question.kind).outcome == "wrong"
    assert grade(r"\boxed{2}", question.answer).outcome == "right"
