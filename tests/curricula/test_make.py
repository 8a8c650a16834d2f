"""Orders on disk: what is written, read back, left alone, linked, refused."""

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq
import pytest
from PIL import Image

from capcurriculum import cli, recipe
from capcurriculum.errors import CapCurriculumError, RunError, SourceError
from capcurriculum.recipe import Recipe, SplitSection
from capcurriculum.recipe.curriculum import OrderSection
from capcurriculum.render.progress import Display
from capcurriculum.rows import Answer, Question, Verdict, digest
from capcurriculum.run import Run, writing
from curricula import held_out, images, make
from curricula.keys import keys
from curricula.make import STAGES, folder_of, sets, write_orders
from curricula.split import SPLITS, places, unit
from tests.support import source_data

COUNTS = {"text": 30, "visual": 20}


def question(stage: str, number: int, image: str) -> Question:
    return Question(
        question_id=digest(stage, number), stage=stage, problem=f"{stage} {number}?", answer="1", options=(),
        skill=f"skill {number % 3}", image_id=digest(image) if image else "", image_path=image, caption="",
        caption_id="", source="src", license="mit",
    )  # fmt: skip


def replies(asked: Question, outcomes: Iterable[str]) -> list[Answer]:
    name = asked.question_id
    return [
        Answer(f"{name}-{i}", name, "p", "rollout", "text", i, "", f"answer {i}", outcome, "stop", 1, 1, "d")
        for i, outcome in enumerate(outcomes)
    ]


def outcomes(number: int) -> list[str]:
    right = number % 4
    return ["right"] * right + ["wrong"] * (3 - right) + ["unparsed" if number % 2 else "failed"]


def wanted(folder: Path, **changes: Any) -> Recipe:
    data: dict[str, Any] = {
        "name": "run",
        "runs": str(folder / "runs"),
        "models": {"policy": {"engine": "transformers", "model": "micro:start"}},
        "text": {"source": {"kind": "problems", "path": str(folder / "text"), "license": "mit"}},
        "visual": {"source": {"kind": "problems", "path": str(folder / "visual"), "license": "mit"}},
        "rollouts": {"model": "policy", "k": 4},
        "split": {"val": 0.2, "test": 0.2},
    }
    return recipe.parse(data | changes, "test")


def fill(made: Recipe) -> Run:
    """Tables as a finished build leaves them, without any model; answers lie in another order than questions."""
    images = Path(made.runs).parent / "visual" / "images"
    images.mkdir(parents=True)
    rows = []
    for stage, count in COUNTS.items():
        for number in range(count):
            name = f"images/{number % 12}.png" if stage == "visual" else ""
            if name:
                Image.new("RGB", (32, 32), (number * 9 % 256, 5, 7)).save(images.parent / name)
            rows.append(question(stage, number, name))
    with writing(made) as run:
        run.questions.append(rows)
        for part in (rows[::-2], rows[-2::-2]):
            run.answers.append(a for q in part for a in reversed(replies(q, outcomes(int(q.problem.split()[1][:-1])))))
        run.verdicts.append(kept(made, rows))
    return run


def split_of(row: Question, section: SplitSection) -> str:
    frame = pl.DataFrame({"image_id": [row.image_id], "problem": [row.problem]})
    return SPLITS[places(frame.select(unit()).to_series().to_numpy(), section)[0]]


def test_unseen_questions_are_kept_or_not_and_of_no_training_image(tmp_path: Path) -> None:
    made = wanted(tmp_path)
    run = fill(made)
    dropped = question("text", 1000, "")
    more = [question("text", number, "") for number in range(900, 920)]
    run.questions.append([dropped, *more])  # without a verdict: kept by nobody
    found, chosen = held_out.unseen(run, made), held_out.held_out(run, made)
    for stage, rows in found.items():
        ids = {row.question_id for row in rows}
        assert {row.question_id for row in chosen[stage]} <= ids
        assert all(split_of(row, made.split) != "train" for row in rows)
    extra = {row.question_id for row in found["text"]} - {row.question_id for row in chosen["text"]}
    assert extra == {row.question_id for row in [dropped, *more] if split_of(row, made.split) != "train"}
    assert extra


def kept(made: Recipe, rows: Iterable[Question]) -> Iterator[Verdict]:
    """What the recipe's filters would say of rows that none of them drops."""
    for q in rows:
        for section in made.filters:
            if q.stage in section.stages:
                yield Verdict(q.question_id, q.stage, section.name, True, "kept", params=section.digest(made))


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return fill(wanted(tmp_path))


def rows(folder: Path, split: str = "train") -> list[dict[str, Any]]:
    return [row for path in sorted(folder.glob(f"{split}-*")) for row in pq.read_table(path).to_pylist()]


def write(run: Run, *orders: OrderSection) -> None:
    write_orders(run, run.recipe(), orders, Display())


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.parquet")}


def test_stage_rows_hold_what_the_tables_say(run: Run) -> None:
    write(run, STAGES)
    found = [row for split in ("train", "val", "test") for row in rows(run.stages / "visual", split)]
    assert {row["question_id"] for row in found} == {q.question_id for q in run.questions.rows() if q.stage == "visual"}
    for row in found:
        number = int(row["problem"].removeprefix("<image>visual ")[:-1])
        right = number % 4
        assert row["problem"].startswith("<image>")
        assert row["prompt"][1] == {"role": "user", "content": row["problem"]}
        assert row["predictions"] == [f"answer {i}" for i in range(4)]
        assert row["correctness"] == [True] * right + [False] * (3 - right) + [None]
        assert (row["pass_k"], row["pass_n"], row["pass_full"]) == (right, 3, True)
        assert (row["pass_unreadable"], row["pass_failed"]) == ((1, 0) if number % 2 else (0, 1))
        path = run.path.parent.parent / "visual" / "images" / f"{number % 12}.png"
        assert row["images"] == [{"bytes": path.read_bytes(), "path": path.name}]
        assert row["extra_info"]["index"] == int(row["index"])
        assert row["reward_model"] == {"style": "rule", "ground_truth": row["answer"]}
    for split in ("train", "val", "test"):
        rates = [row["pass_rate"] for row in rows(run.stages / "visual", split)]
        assert rates == sorted(rates, reverse=True)
    assert {row["split"] for row in found} == {"train", "val", "test"}
    assert rows(run.stages / "text")[0]["images"] == []


def test_no_image_is_in_two_splits(run: Run) -> None:
    write(run, STAGES)
    names = [{row["images"][0]["path"] for row in rows(run.stages / "visual", s)} for s in ("train", "val", "test")]
    assert all(names)
    assert sum(map(len, names)) == len(set.union(*names))


def test_every_order_opens_with_datasets_and_pictures_in_both_modes(run: Run) -> None:
    import datasets

    order = OrderSection(order="interleaved")
    write(run, STAGES, order)
    ((_, folder),) = sets(run, "interleaved")
    cache = str(run.path / "cache")
    whole = datasets.load_dataset(str(folder), cache_dir=cache)["train"]
    streamed = datasets.load_dataset(str(folder), streaming=True)["train"]
    expected = [row["question_id"] for row in rows(folder)]
    assert [row["question_id"] for row in streamed] == whole["question_id"][:] == expected
    assert {len(row["images"]) for row in streamed} == {0, 1}
    assert all(image.size == (32, 32) for row in whole for image in row["images"])


def test_the_same_order_again_does_nothing_and_a_lost_file_is_made_again(run: Run) -> None:
    order = OrderSection.model_validate({"order": "merged", "balance": {"by": "skill", "batch": 6}})
    write(run, STAGES, order)
    folder = folder_of(run, order)
    assert folder.name == "merged-balance.skill.6"
    before, stamps = files(run.path), {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    write(run, STAGES, order)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == stamps
    next(folder.rglob("train-*")).unlink()
    write(run, STAGES, order)
    assert files(run.path) == before


def test_an_interrupted_order_leaves_the_old_one_and_ends_in_the_same_bytes(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(run, STAGES)
    before = files(run.path)
    run.verdicts.append([Verdict(digest("x"), "text", "rollouts", True, "kept")])  # changes nothing: no such question
    more = question("text", 99, "")
    run.questions.append([more])
    run.answers.append(replies(more, outcomes(1)))
    run.verdicts.append(kept(run.recipe(), [more]))
    with monkeypatch.context() as patch:
        patch.setattr(make, "exchange", killed)
        with pytest.raises(KeyboardInterrupt):
            write(run, STAGES)
    assert {name: data for name, data in files(run.path).items() if name.startswith("stages")}.items() <= before.items()
    write(run, STAGES)
    after = files(run.stages)
    assert sum(len(rows(run.stages / "text", split)) for split in ("train", "val", "test")) == COUNTS["text"] + 1
    (run.stages / "order.json").unlink()
    write(run, STAGES)
    assert files(run.stages) == after


def killed(*_: object) -> None:
    raise KeyboardInterrupt


def test_the_order_of_the_tables_rows_changes_no_byte(tmp_path: Path) -> None:
    made = wanted(tmp_path)
    first = fill(made)
    write(first, STAGES)
    second = wanted(tmp_path, name="other")
    with writing(second) as other:
        for table, source in ((other.questions, first.questions), (other.answers, first.answers)):
            mixed = list(source.rows())[::-1]  # type: ignore[attr-defined]
            for part in (mixed[1::2], mixed[::2]):
                table.append(part)  # type: ignore[attr-defined]
        other.verdicts.append(first.verdicts.rows())
        write_orders(other, second, [STAGES], Display())
    assert files(first.stages) == files(other.stages)


def test_small_blocks_shards_and_groups_hold_every_row_in_order(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    order = OrderSection(order="merged")
    write(run, order)
    ((_, folder),) = sets(run, "merged")
    expected = rows(folder)
    for name, value in (
        ("store.BLOCK", 7),
        ("store.ANSWERS", 9),
        ("keys.QUESTIONS", 9),
        ("keys.ANSWERS", 9),
        ("stage_rows.CHUNK", 9),
        ("stage_rows.ROW_GROUP", 4),
    ):
        monkeypatch.setattr(f"curricula.{name}", value)
    monkeypatch.setattr("curricula.write.SHARD_ROWS", 10)
    (folder_of(run, order) / "order.json").unlink()
    write(run, order)
    shards = sorted(folder.glob("train-*"))
    assert len(shards) > 2
    assert shards[-1].name == f"train-{len(shards) - 1:05d}-of-{len(shards):05d}.parquet"
    assert rows(folder) == expected
    assert [int(row["index"]) for row in expected] == list(range(len(expected)))
    groups = [pq.read_metadata(path) for path in shards]
    assert {meta.row_group(i).num_rows for meta in groups for i in range(meta.num_row_groups)} <= {1, 2, 3, 4}


def test_large_pictures_close_a_row_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = source_data.picture()
    size = len(data)
    monkeypatch.setattr("curricula.images.GROUP_BYTES", 5 * size // 2)
    for number in range(5):
        (tmp_path / f"{number}.png").write_bytes(data)
    names: list[tuple[Path, str] | None] = [(tmp_path, f"{n}.png") for n in range(5)]
    names.insert(2, None)
    lengths = [(start, [len(one.data if one else b"") for one in group]) for start, group in images.groups(names, 100)]
    assert lengths == [(0, [size, size, 0]), (3, [size, size]), (5, [size])]


def test_sets_that_are_the_same_are_linked_and_outlive_each_other(run: Run) -> None:
    order = OrderSection.model_validate({"order": "capability_x_difficulty", "stages": ["visual", "text"]})
    write(run, STAGES, order)
    assert [name for name, _ in sets(run)] == ["text", "visual"]
    assert [name for name, _ in sets(run, "capability_x_difficulty-3-2")] == ["visual", "text"]
    for name, folder in sets(run, order.folder):
        for path in folder.iterdir():
            assert os.path.samefile(path, run.stages / name / path.name)


def test_without_hard_links_sets_are_written(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError("no links here")

    monkeypatch.setattr("os.link", refuse)
    order = OrderSection.model_validate({"order": "capability_x_difficulty", "stages": ["visual", "text"]})
    write(run, STAGES, order)
    for name, folder in sets(run, order.folder):
        assert files(folder) == files(run.stages / name)
        assert not any(os.path.samefile(path, run.stages / name / path.name) for path in folder.iterdir())


def test_order_json_says_how_it_came_about(run: Run) -> None:
    order = OrderSection(order="capability", replay=0.5, epochs=2)
    write(run, order)
    about = json.loads((folder_of(run, order) / "order.json").read_text())
    assert about["order"]["replay"] == 0.5
    assert about["seed"] == 0
    assert {"questions", "answers", "verdicts"} == set(about["tables"])
    names = ["text/epoch-01", "text/epoch-02", "visual/epoch-01", "visual/epoch-02"]
    assert [one["name"] for one in about["sets"]] == names
    text, visual = about["sets"][0]["splits"]["train"], about["sets"][2]["splits"]["train"]
    assert visual["stages"]["text"] == round(text["rows"] / 2)
    assert len(rows(sets(run, order.folder)[2][1])) == visual["rows"]


def test_the_listing_says_every_row_of_the_files_in_their_order(run: Run) -> None:
    order = OrderSection(order="capability", replay=0.5)
    write(run, order)
    listing = pq.read_table(folder_of(run, order) / "rows.parquet").to_pylist()
    assert len(listing) > sum(COUNTS.values())
    for name, folder in sets(run, order.folder):
        for split in ("train", "val", "test"):
            listed = [row for row in listing if (row["set"], row["split"]) == (name, split)]
            written = rows(folder, split)
            shared = listed[0].keys() & written[0].keys() - {"index"}
            assert len(shared) == 8
            assert [row | {"index": str(row["index"])} for row in listed] == [
                {key: row[key] for key in shared} | {"set": name, "index": row["index"]} for row in written
            ]


def test_the_verb_makes_an_order_from_a_built_run(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["curriculum", str(run.path), "--order", "interleaved", "--proportions", "text=3,visual=1"]
    assert cli.main(words) == 0
    folder = Path(capsys.readouterr().out.strip())
    assert folder == run.path / "curricula" / "interleaved-text.3-visual.1"
    first = [row["stage"] for row in rows(folder / "interleaved")[:8]]
    assert (first.count("text"), first.count("visual")) == (6, 2)
    assert (
        cli.main(["curriculum", str(run.path), "--order", "capability", "--stages", "3-2", "--balance", "skill:5"]) == 0
    )
    assert [name for name, _ in sets(run, "capability-3-2-balance.skill.5")] == ["visual", "text"]


def test_orders_of_the_recipe_are_found_by_name(run: Run, tmp_path: Path) -> None:
    made = wanted(tmp_path, curriculum={"orders": [{"order": "merged", "name": "mixed"}]})
    file = tmp_path / "recipe.yaml"
    file.write_text(recipe.dump(made))
    assert cli.main(["curriculum", str(file), "--order", "mixed"]) == 0
    assert [name for name, _ in sets(run, "mixed")] == ["merged"]
    assert cli.main(["curriculum", str(run.path), "--order", "mixed"]) == 0  # the run has kept the recipe


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--order", "backwards"], "order: must be one of merged"),
        (["--order", "merged", "--stages", "4"], "There is no stage 4"),
        (["--order", "merged", "--stages", "perception"], "wants the stage perception"),
        (["--order", "merged", "--balance", "skill"], "balance.batch: must be"),
        (["--order", "interleaved", "--proportions", "text"], "proportions."),
    ],
)
def test_a_wrong_order_is_one_sentence(
    run: Run, words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["curriculum", str(run.path), *words]) == 2
    told = capsys.readouterr().err
    assert sentence in told
    assert told.count("\n") == 1
    assert not list(run.path.glob("curricula/*"))


def test_an_unknown_order_names_those_there_are(run: Run) -> None:
    write(run, OrderSection(order="merged"))
    for name in ("diff", "../stages", ".."):
        with pytest.raises(RunError, match=r"has no order .*; it has merged"):
            sets(run, name)


def test_a_stage_without_rows_is_refused(tmp_path: Path) -> None:
    with writing(wanted(tmp_path)) as empty, pytest.raises(RunError, match="No row is left for the text stage"):
        keys(empty, wanted(tmp_path))


@pytest.mark.parametrize("path", ["../text/secret.png", "/etc/hostname", "images/link.png", "images/gone.png"])
def test_a_picture_outside_its_folder_is_refused(tmp_path: Path, path: str) -> None:
    (tmp_path / "visual" / "images").mkdir(parents=True)
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "secret.png").write_bytes(b"secret")
    (tmp_path / "visual" / "images" / "link.png").symlink_to(tmp_path / "text" / "secret.png")
    with pytest.raises(SourceError):
        images.file_of(tmp_path / "visual", path)


def test_folders_that_users_linked_are_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    data = source_data.picture()
    (tmp_path / "real" / "a.png").write_bytes(data)
    (tmp_path / "run" / "places").mkdir(parents=True)
    (tmp_path / "run" / "places" / "visual-0").symlink_to(tmp_path / "real")
    assert images.read(images.file_of(tmp_path / "run", "places/visual-0/a.png")).data == data


def test_a_picture_that_is_gone_leaves_what_was_there(run: Run) -> None:
    write(run, STAGES)
    before = files(run.stages)
    (run.path.parent.parent / "visual" / "images" / "3.png").unlink()
    with pytest.raises(CapCurriculumError, match=r"The image 'images/3.png' is no longer in .*; put it back"):
        write(run, OrderSection(order="merged"))
    assert files(run.stages) == before
    assert not list(run.path.glob("curricula/[!.]*"))
