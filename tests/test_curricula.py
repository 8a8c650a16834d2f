"""Order, split and stage files."""

from pathlib import Path

import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from capcurriculum.recipe import SplitSection
from capcurriculum.rows import Answer, Question
from curricula.order import easy_to_hard
from curricula.split import split_of
from curricula.stage_rows import StageRow
from curricula.write import write_stage


def question(number: int, image: str = "") -> Question:
    path = f"images/{image}" if image else ""
    return Question(
        question_id=f"q{number:04d}", stage="visual" if image else "text", problem=f"P{number}?", answer="1",
        options=(), skill="s", image_id=image, image_path=path, caption="", caption_id="", source="src", license="mit",
    )  # fmt: skip


def row(number: int, outcomes: list[str], image: str = "", split: str = "train") -> StageRow:
    answers = [
        Answer(f"k{number}-{i}", f"q{number:04d}", "p", "rollout", "text", i, "", "1", outcome, "stop", 1, 1, "d")
        for i, outcome in enumerate(outcomes)
    ]
    return StageRow.make(question(number, image), answers, split, k=len(outcomes))


@given(st.lists(st.integers(0, 4), min_size=1, max_size=30), st.randoms(use_true_random=False), st.integers(0, 9))
def test_easy_to_hard_is_a_permutation_that_does_not_depend_on_how_rows_came(
    right: list[int], shuffler: "object", seed: int
) -> None:
    rows = [row(n, ["right"] * k + ["wrong"] * (4 - k)) for n, k in enumerate(right)]
    shuffled = list(rows)
    shuffler.shuffle(shuffled)  # type: ignore[attr-defined]
    ordered = easy_to_hard(rows, seed)
    assert easy_to_hard(shuffled, seed) == ordered
    assert sorted(r.question.question_id for r in ordered) == sorted(r.question.question_id for r in rows)
    rates = [r.rate.rate for r in ordered]
    assert rates == sorted(rates, reverse=True)


@settings(max_examples=30)
@given(st.floats(0, 0.5), st.floats(0, 0.4))
def test_one_image_is_in_one_split_only_and_shares_are_kept(val: float, test: float) -> None:
    section = SplitSection(val=val, test=test)
    splits = [split_of(question(n, f"image{n % 500}"), section) for n in range(1000)]
    assert splits[:500] == splits[500:]
    assert abs(splits.count("test") / 1000 - test) < 0.08
    assert abs(splits.count("val") / 1000 - val) < 0.08


def test_a_stage_is_written_with_pictures_null_for_unknown_and_every_split(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    Image.new("RGB", (32, 32), "red").save(tmp_path / "images" / "a.png")
    rows = [
        row(1, ["right", "unparsed", "wrong", "failed"], image="a.png"),
        row(2, ["right"], image="a.png", split="val"),
    ]
    write_stage(rows, tmp_path / "stages" / "visual", tmp_path)
    names = sorted(path.name for path in (tmp_path / "stages" / "visual").iterdir())
    assert names == [f"{split}-00000-of-00001.parquet" for split in ("test", "train", "val")]
    (written,) = pq.read_table(tmp_path / "stages" / "visual" / "train-00000-of-00001.parquet").to_pylist()
    assert written["correctness"] == [True, None, False, None]
    assert (written["pass_k"], written["pass_n"]) == (1, 3)
    assert written["images"] == [{"bytes": (tmp_path / "images" / "a.png").read_bytes(), "path": "a.png"}]
    assert written["problem"] == "<image>P1?" == written["prompt"][1]["content"]
    assert written["reward_model"]["ground_truth"] == written["answer"]


def test_writing_again_replaces_the_stage_whole(tmp_path: Path) -> None:
    write_stage([row(n, ["right"]) for n in range(3)], tmp_path / "text", tmp_path)
    write_stage([row(7, ["right"])], tmp_path / "text", tmp_path)
    assert pq.read_table(tmp_path / "text" / "train-00000-of-00001.parquet").num_rows == 1
    assert [path.name for path in tmp_path.iterdir()] == ["text"]


def test_a_large_stage_is_cut_into_shards_that_hold_every_row_in_order(tmp_path: Path, monkeypatch: object) -> None:
    monkeypatch.setattr("curricula.write.SHARD_BYTES", 10_000)  # type: ignore[attr-defined]
    write_stage([row(n, ["right"]) for n in range(950)], tmp_path / "text", tmp_path)
    shards = sorted((tmp_path / "text").glob("train-*"))
    assert len(shards) > 1
    assert shards[-1].name == f"train-{len(shards) - 1:05d}-of-{len(shards):05d}.parquet"
    indices = [int(i) for shard in shards for i in pq.read_table(shard)["index"].to_pylist()]
    assert indices == list(range(950))
    assert all(pq.ParquetFile(shard).metadata.row_group(0).num_rows <= 100 for shard in shards)
