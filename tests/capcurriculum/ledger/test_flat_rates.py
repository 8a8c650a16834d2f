"""Rows whose replies are all wrong or all right: counted, said, and never confused with rows nobody measured."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from capcurriculum import cli
from capcurriculum.errors import RunError
from capcurriculum.ledger import flat_rates
from capcurriculum.ledger.flat_rates import FlatRates
from capcurriculum.render.progress import Display
from capcurriculum.run import Run
from curricula.build import build
from tests.support import endpoint, worlds

NO = "no gradient from their answers until the policy changes; a new run with"


def write(path: Path, rates: Sequence[float | None], name: str = "pass_rate") -> Path:
    pq.write_table(pa.table({name: pa.array(rates, pa.float64())}), path)
    return path


def test_only_0_and_1_themselves_count_and_unknown_is_neither() -> None:
    found = FlatRates.of([0.0, 0.0, 1.0, 0.0625, 0.9999, None, float("nan"), 0.5])
    assert found == FlatRates(rows=8, wrong=2, right=1, unknown=2)
    assert found.sentences() == [
        f"2 of 8 rows (25 %) have pass rate 0 and 1 (12 %) has 1: {NO} rollouts.above: 0 and rollouts.below: 1 "
        "drops them",
        "2 of 8 rows (25 %) have no measured pass rate: whether they give a gradient is unknown",
    ]


def test_what_is_not_there_is_not_said() -> None:
    assert FlatRates.of([0.5, 0.2]).sentences() == []
    assert FlatRates.of([]).sentences() == []
    assert FlatRates(1000, 0, 1000, 0).sentences() == [
        f"1,000 of 1,000 rows (100 %) have pass rate 1: {NO} rollouts.below: 1 drops them"
    ]
    assert "1 of 1,000 rows (1 %) has pass rate 0" in FlatRates(1000, 1, 0, 0).no_gradient()
    assert "999 of 1,000 rows (99 %)" in FlatRates(1000, 999, 0, 0).no_gradient()


def test_files_are_counted_without_the_rows_that_are_left_out(tmp_path: Path) -> None:
    paths = [write(tmp_path / "a.parquet", [0, 0, 0.5]), write(tmp_path / "b.parquet", [1, None, 0])]
    assert flat_rates.in_files(paths) == FlatRates(6, 3, 1, 1)
    assert flat_rates.in_files(paths, {0: {1, 2}, 1: {0}}) == FlatRates(3, 2, 0, 1)
    bare = write(tmp_path / "c.parquet", [0, 1], "score")
    assert flat_rates.in_files([bare]) == FlatRates(2, 0, 0, 2)
    bare.write_bytes(bare.read_bytes()[:40])
    with pytest.raises(RunError, match=r"c.parquet is damaged .*; put back a copy"):
        flat_rates.in_files([bare])


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("flat")
    worlds.docci(folder / "docci", images=12)
    worlds.problems(folder / "text", count=20)
    with endpoint.serving() as server:
        wanted = worlds.recipe_over(folder, server.url, training={"backbone": "micro"})
        return build(wanted, Display())


def test_the_funnel_says_it_of_training_rows_and_before_there_are_files_of_all(
    built: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (path,) = (built.stages / "text").glob("train-*.parquet")
    rates = pq.read_table(path)["pass_rate"].to_pylist()
    wrong, right = rates.count(0.0), rates.count(1.0)
    assert min(wrong, right) > 0
    assert flat_rates.of_run(built, built.recipe())["text"] == FlatRates(len(rates), wrong, right, 0)
    assert cli.main(["funnel", str(built.path)]) == 0
    said = capsys.readouterr().out
    sentence = FlatRates(len(rates), wrong, right, 0).no_gradient()
    assert said.index("mean pass rate") < said.index(f"\ntext: {sentence}.\n")

    begun = Run(tmp_path / "begun")
    shutil.copytree(built.path, begun.path)
    every = [rate for one in (built.stages / "text").glob("*.parquet") for rate in pq.read_table(one)["pass_rate"]]
    shutil.rmtree(begun.stages)
    values = [rate.as_py() for rate in every]
    assert flat_rates.of_run(begun, begun.recipe())["text"] == FlatRates.of(values)
    assert cli.main(["funnel", str(begun.path)]) == 0
    assert f"\ntext: {FlatRates.of(values).no_gradient()}.\n" in capsys.readouterr().out


def test_rows_that_were_not_asked_yet_are_unknown(built: Run, tmp_path: Path) -> None:
    begun = Run(tmp_path / "begun")
    shutil.copytree(built.path, begun.path)
    shutil.rmtree(begun.stages)
    asked = next(a.question_id for a in built.answers.rows() if a.purpose == "rollout")
    for shard in begun.answers.shards():
        table = pq.read_table(shard)
        pq.write_table(table.filter(pa.compute.not_equal(table["question_id"], asked)), shard)
    before, after = (flat_rates.of_run(run, run.recipe()) for run in (built, begun))
    assert sum(one.unknown for one in before.values()) == 0
    assert sum(one.unknown for one in after.values()) == 1
