"""Problem sources: what becomes a question, and why the rest does not."""

import json
from pathlib import Path

import pytest
from PIL import Image

from capcurriculum.errors import SourceError
from capcurriculum.recipe.sources import SourceSection
from capcurriculum.rows import CaptionedImage, Question, Stage, Verdict
from datagen import image_decoding, shown
from datagen.image_decoding import ImageProblem
from datagen.sources import registry
from datagen.sources.images.image_paths import Place
from datagen.sources.images.store import Store
from tests.support import worlds


def section(folder: Path, kind: str = "problems", **changes: object) -> SourceSection:
    return SourceSection.model_validate({"kind": kind, "path": str(folder), "source": "s", "license": "mit"} | changes)


def read(
    folder: Path, stage: Stage = Stage.TEXT, known: frozenset[str] = frozenset(), kind: str = "problems"
) -> list[CaptionedImage | Question | Verdict]:
    return list(registry.rows(section(folder, kind), Place(folder, "s", Store(folder)), stage, stage, known))


def lines(folder: Path, *rows: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    worlds.write_lines(folder / "problems.jsonl", [r if isinstance(r, str) else json.dumps(r) for r in rows])
    return folder


def test_bad_problems_become_verdicts_and_the_rest_goes_on(tmp_path: Path) -> None:
    found = read(
        lines(
            tmp_path,
            {"problem": "One and one?", "answer": "2"},
            {"problem": "One and one?", "answer": "2"},
            {"problem": " ", "answer": "2"},
            {"problem": "Which?", "answer": "}"},
            {"problem": "No answer?"},
            "not json",
            {"problem": "Two and two?", "answer": "4", "skill": "sum"},
        )
    )
    assert [q.problem for q in found if isinstance(q, Question)] == ["One and one?", "Two and two?"]
    assert [v.reason for v in found if isinstance(v, Verdict)] == [
        "duplicate_row", "empty_problem", "ungradable_answer", "missing_field", "malformed_line",
    ]  # fmt: skip


def test_known_rows_are_not_given_again(tmp_path: Path) -> None:
    folder = worlds.problems(tmp_path / "text", count=3)
    first = read(folder)
    known = frozenset(q.question_id for q in first if isinstance(q, Question))
    assert read(folder, known=known) == []


def test_a_visual_problem_names_its_image_by_content_and_loses_its_placeholder(tmp_path: Path) -> None:
    folder = lines(tmp_path, {"problem": "<image>How many?", "answer": "3", "image_file": "a.png"})
    (folder / "images").mkdir()
    Image.new("RGB", (40, 40), "red").save(folder / "images" / "a.png")
    (question,) = read(folder, Stage.VISUAL)
    assert isinstance(question, Question)
    assert (question.problem, question.image_path) == ("How many?", "images/a.png")
    assert len(question.image_id) == 16


def test_the_same_line_has_the_same_key_wherever_it_stands(tmp_path: Path) -> None:
    one = read(lines(tmp_path / "one", "bad", "worse"))
    two = read(lines(tmp_path / "two", "worse", {"problem": "?", "answer": "1"}, "bad"))
    assert {v.question_id for v in one if isinstance(v, Verdict)} <= {getattr(v, "question_id", "") for v in two}


def test_the_downsampled_images_of_docci_are_found(tmp_path: Path) -> None:
    folder = worlds.docci(tmp_path / "docci", images=2)
    (folder / "images").rename(folder / "images_downsampled_2x")
    rows = read(folder, Stage.PERCEPTION, kind="docci")
    assert [row.image_path for row in rows] == [f"images_downsampled_2x/train_0000{n}.png" for n in range(2)]
    assert {row.license for row in rows} == {"mit"}


def test_a_missing_descriptions_file_is_one_sentence(tmp_path: Path) -> None:
    folder = worlds.docci(tmp_path / "docci", images=1)
    (folder / "docci_descriptions.jsonlines").unlink()
    with pytest.raises(SourceError, match=r"docci_descriptions.jsonlines cannot be read .* check the recipe's path"):
        read(folder, Stage.PERCEPTION, kind="docci")


@pytest.mark.parametrize("name", ["../x.png", "/etc/passwd", "a/../../x.png", "x\x00.png", "", "n" * 300])
def test_names_that_lead_out_or_nowhere_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "x.png").write_bytes(b"x")
    with pytest.raises(ImageProblem) as caught:
        image_decoding.inside(tmp_path / "images", name)
    assert caught.value.reason in ("path_escapes", "missing_file")


@pytest.mark.parametrize(("size", "reason"), [((20, 100), "image_too_small"), ((300, 300), "image_too_large")])
def test_sizes_out_of_bounds_are_refused(tmp_path: Path, size: tuple[int, int], reason: str) -> None:
    Image.new("RGB", size).save(tmp_path / "x.png")
    with pytest.raises(ImageProblem) as caught:
        shown.checked((tmp_path / "x.png").read_bytes(), max_pixels=200 * 200)
    assert caught.value.reason == reason


def test_a_file_that_only_pretends_to_be_an_image_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(b"<svg onload='alert(1)'/>")
    with pytest.raises(ImageProblem) as caught:
        shown.checked((tmp_path / "x.png").read_bytes(), max_pixels=10**6)
    assert caught.value.reason == "unreadable_image"
