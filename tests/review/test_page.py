"""A review without a server: the page that is written, and the answers that are read back."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from benchmarks import review_world
from benchmarks.review_world import World
from capcurriculum import cli
from capcurriculum.recipe.review import ReviewSection
from capcurriculum.rows import Question
from datagen.image_decoding import ImageProblem
from filters.human.form import version
from review import images
from review.page import read
from tests.support.reviewing import copied


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> World:
    return review_world.made(tmp_path_factory.mktemp("original"), 60)


@pytest.fixture
def world(original: World, tmp_path: Path) -> World:
    return copied(original, tmp_path)


def review(world: World, *words: str) -> int:
    who = ("--annotator", "Ada") if words[0] == "export" else ()
    return cli.main(["review", words[0], str(world.run.path), *words[1:], *who])


def blocks(page: Path) -> dict[str, Any]:
    found = re.findall(r'<script type="application/json" id="([^"]+)">(.*?)</script>', page.read_text(), re.DOTALL)
    return {name: json.loads(text) for name, text in found}


def line(question: Question, right: str, **changes: object) -> str:
    told: dict[str, object] = {
        "form": 1, "page": "p", "reviewer": "Ada", "question_id": question.question_id, "version": version(question),
        "said_at": "2026-05-04T10:00:00.000Z", "right": right,
    }  # fmt: skip
    return json.dumps(told | changes) + "\n"


def test_the_page_holds_the_sample_and_a_larger_one_adds_to_it(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    assert review(world, "export", "--size", "10") == 0
    page = world.run.path / "review.html"
    first = blocks(page)
    assert first["setup"]["questions"] == 10
    one = first["question-0"]
    assert one["image"].startswith("data:image/webp;base64,")
    assert any(re.fullmatch(r"policy, in 4 tries: .*", text) for text in one["solvers"])
    assert "10 questions are in" in capsys.readouterr().out
    assert review(world, "export", "--size", "20") == 0
    second = blocks(page)
    ids = [{b["id"] for name, b in found.items() if name != "setup"} for found in (first, second)]
    assert ids[0] < ids[1]
    assert len(ids[1]) == 20
    assert review(world, "export") == 0
    assert review(world, "export", "--size", "5") == 0
    assert blocks(page) == second


def test_the_caption_can_be_left_out(world: World, tmp_path: Path) -> None:
    from capcurriculum import recipe

    changed = world.recipe.model_copy(update={"review": ReviewSection(caption="left_out")})
    file = tmp_path / "changed.yaml"
    file.write_text(recipe.dump(changed), encoding="utf-8")
    assert cli.main(["review", "export", str(file), "--size", "3", "--annotator", "Ada"]) == 0
    found = blocks(world.run.path / "review.html")
    assert found["setup"]["caption"] == "left_out"
    assert {block["caption"] for name, block in found.items() if name != "setup"} == {""}


def test_answers_are_read_once_and_what_is_not_right_is_told(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = list(world.run.questions.rows())[:6]
    file = tmp_path / "answers.jsonl"
    lines = [
        line(asked[0], "yes", quality=4, kind="count", comment="=1+1 <b>bold</b> \x1b[2J"),
        line(asked[1], "no", choice="none"),
        line(asked[2], "maybe"),
        line(asked[3], "no", choice="Z"),
        line(asked[4], "yes", quality=9),
        line(asked[4], "yes", said_at="yesterday"),
        line(asked[5], "yes", version="older"),
        line(asked[0], "yes", question_id="0123456789abcdef"),
        '{"right": "yes"}\n',
        line(asked[0], "yes", extra=1),
        "not json\n",
    ]
    file.write_text("\ufeff" + "".join(lines), encoding="utf-8")
    assert review(world, "import", str(file), "--annotator", "Ada") == 0
    printed = capsys.readouterr().out
    assert "3 new reviews" in printed
    assert f"Next, `capcurriculum build {world.run.path}` writes the stage files as these reviews say." in printed
    assert "1 are about another version of their question; they are kept, and do not count" in printed
    assert "1 are about questions that this run does not have" in printed
    for what in (
        "'maybe'",
        "'Z'",
        "quality is 9",
        "'yesterday'",
        "form is missing",
        "extra: there is no such key",
        "is no JSON",
    ):
        assert what in printed
    assert "\x1b" not in printed
    rows = list(world.run.reviews.rows())
    assert len(rows) == 3
    assert {row.said_at for row in rows} == {"2026-05-04T10:00:00.000+00:00"}
    human = {v.question_id: v.reason for v in world.run.verdicts.rows() if v.filter == "human"}
    assert human == {asked[0].question_id: "kept", asked[1].question_id: "no_option_right"}
    count = world.run.verdicts.count()
    assert review(world, "import", str(file), "--annotator", "Ada") == 0
    assert "0 new reviews, 3 known before" in capsys.readouterr().out
    assert (world.run.reviews.count(), world.run.verdicts.count()) == (3, count)
    assert json.loads((world.run.path / "review.json").read_text())["reviews"] == 2


def test_names_become_pseudonyms_that_stay_and_cannot_be_looked_up(world: World, tmp_path: Path) -> None:
    one, two = list(world.run.questions.rows())[:2]
    for number, question in enumerate((one, two)):
        file = tmp_path / f"{number}.jsonl"
        file.write_text(line(question, "yes"), encoding="utf-8")
        for name in ("Ada", "Bob"):
            assert review(world, "import", str(file), "--annotator", name) == 0
    who = [row.annotator for row in world.run.reviews.rows()]
    assert who == who[:2] * 2
    assert len(set(who)) == 2
    assert all(re.fullmatch(r"person-[0-9a-f]{8}", name) for name in who)
    for path in world.run.path.rglob("*"):
        assert not path.is_file() or b"Ada" not in path.read_bytes()
    assert (world.run.path / "review" / ".pseudonyms").stat().st_mode & 0o077 == 0
    named = world.recipe.model_copy(update={"review": ReviewSection(annotators="names")})
    from capcurriculum import recipe

    (tmp_path / "r.yaml").write_text(recipe.dump(named), encoding="utf-8")
    words = ["review", "import", str(tmp_path / "r.yaml"), str(tmp_path / "0.jsonl"), "--annotator", "Ada"]
    assert cli.main(words) == 0
    assert "Ada" in {row.annotator for row in world.run.reviews.rows()}


@pytest.mark.parametrize(
    "words",
    [
        ("import", "absent.jsonl"),
        ("export", "--size", "5", "--width", "0.1"),
        ("export", "--by", "skill", "--design", "random"),
        ("export", "--annotator", "a", "--certify", "0.2", "--size", "5"),
        ("export", "--annotator", "a", "--certify", "0.2", "--by", "skill"),
        ("export", "--annotator", "a", "--certify", "0.2", "--expect", "0.2"),
        ("export", "--annotator", "a", "--certify", "1.5"),
        ("export", "--size", "-3"),
        ("export", "--size", "5", "--out", "page.txt"),
        ("export", "--size", "5", "--out", "/nowhere/page.html"),
    ],
)
def test_a_mistake_is_one_sentence(original: World, words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert review(original, *words) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ")
    assert captured.err.strip().count("\n") <= 1


def test_what_a_certifying_sample_can_show_is_said_before_anybody_answers(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    assert review(world, "export", "--annotator", "Ada", "--certify", "0.3") == 0
    said, questions, *_ = capsys.readouterr().out.splitlines()
    size = re.match(r"(\d+) of \d+ kept rows show at most 30.0% wrong labels if ", said)
    assert size, said
    assert questions.startswith(f"{size[1]} questions are in ")


def test_a_file_without_answers_is_refused(world: World, tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").touch()
    assert review(world, "import", str(tmp_path / "empty.jsonl")) == 2
    (tmp_path / "bytes.jsonl").write_bytes(b"\xff\xfe\x00")
    assert review(world, "import", str(tmp_path / "bytes.jsonl")) == 2
    assert not world.run.reviews.shards()


def test_pictures_are_shrunk_below_the_limit_and_lose_what_was_hidden_in_them(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010E] = "secret place"
    exif[0x0112] = 6  # turned by a quarter
    Image.effect_noise((900, 600), 90).convert("RGB").save(tmp_path / "noise.jpg", exif=exif, quality=95)
    found = images.picture(tmp_path, "noise.jpg", side=1280)
    assert (found.width, found.height) == (600, 900)
    assert b"secret place" not in found.data
    small = images.picture(tmp_path, "noise.jpg", side=1280, most_characters=60_000)
    assert len(small.url) < 60_000
    assert small.width < 600
    assert images.picture(tmp_path, "noise.jpg", side=300).height == 300
    for name in ("absent.png", "../noise.jpg"):
        with pytest.raises(ImageProblem):
            images.picture(tmp_path / ".", name)


@pytest.mark.parametrize("time", ["9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00", "never", ""])
def test_a_time_that_no_clock_shows_is_none(time: str) -> None:
    with pytest.raises(ValueError, match=r"no time in UTC|Invalid isoformat"):
        read.at(time)
