"""What a disk, a kill or a clock does to a run: damage is said, its mend makes the same again, and nothing is lost."""

import ctypes
import datetime
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import datasets
import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from capcurriculum import cli, run
from capcurriculum.errors import RunError, SourceError
from capcurriculum.files import checksums
from capcurriculum.recipe import Recipe
from capcurriculum.render.progress import Display
from capcurriculum.run import Run
from curricula.build import build
from curricula.make import STAGES, write_orders
from datagen.sources.fingerprints import FILE
from tests.cli.bad_inputs import built
from tests.curricula.test_build import content
from tests.support import endpoint, hub_runs, worlds
from tests.support.forks import Fork
from training.on_verl import config
from training.preflight.rows import cache


def flip(path: Path, place: float = 0.3) -> None:
    data = bytearray(path.read_bytes())
    data[int(len(data) * place)] ^= 16
    path.write_bytes(data)


def test_a_sealed_file_reads_the_same_everywhere(tmp_path: Path) -> None:
    table = pa.table({"a": [1, 2, 3], "images": [[{"bytes": b"x" * 999}], [], None]})
    bare, path = tmp_path / "bare.parquet", tmp_path / "sealed.parquet"
    for target in (bare, path):
        pq.write_table(table, target, row_group_size=2, write_page_index=True)
    with path.open("r+b") as file:
        checksums.seal(file)
    assert path.stat().st_size == bare.stat().st_size + 40
    assert (checksums.sealed(bare), checksums.sealed(path)) == (False, True)
    assert pq.read_table(path).equals(table)
    assert pl.read_parquet(path).equals(pl.read_parquet(bare))
    rows = "select * from read_parquet(?)"
    assert duckdb.execute(rows, [str(path)]).fetchall() == duckdb.execute(rows, [str(bare)]).fetchall()
    found = datasets.load_dataset("parquet", data_files=str(path), split="train", cache_dir=str(tmp_path / "cache"))
    assert found["a"] == [1, 2, 3]


def test_a_file_is_looked_at_once_and_again_when_it_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shard = built.copied(tmp_path).verdicts.shards()[0]
    seen: list[bool] = []
    monkeypatch.setattr(checksums, "_verify", lambda file, pictures: seen.append(pictures))
    for pictures in (False, False, True, True, False):
        checksums.check([shard], pictures=pictures)
    assert seen == [False, True]
    os.utime(shard, ns=(1, 1))
    checksums.check([shard])
    assert seen == [False, True, True]


def test_a_disk_that_cannot_be_read_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"gone.parquet cannot be read \(No such file or directory\)"):
        checksums.check([tmp_path / "gone.parquet"])
    (tmp_path / "a.parquet").mkdir()
    with pytest.raises(RunError, match=r"a.parquet cannot be read \(Is a directory\)"):
        checksums.check([tmp_path / "a.parquet"])


@pytest.fixture
def small(tmp_path: Path) -> Path:
    worlds.docci(tmp_path / "docci", 12)
    worlds.problems(tmp_path / "text", 8)
    return tmp_path


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recipe]:
    """The recipe of a run that is built and may be copied; its models go on answering."""
    folder = tmp_path_factory.mktemp("finished")
    worlds.docci(folder / "docci", 12)
    worlds.problems(folder / "text", 8)
    with endpoint.serving() as server:
        wanted = worlds.recipe_over(folder, server.url)
        build(wanted, Display())
        yield wanted


@pytest.mark.parametrize("table", ["captions", "attempts", "questions", "answers", "verdicts"])
def test_a_build_makes_a_damaged_shard_again(finished: Recipe, tmp_path: Path, table: str) -> None:
    wanted = finished.model_copy(update={"runs": str(tmp_path)})
    before = content(Run(Path(shutil.copytree(finished.run_dir, wanted.run_dir, symlinks=True))))
    shard = sorted((wanted.run_dir / table).glob("*.parquet"))[0]
    flip(shard)
    with pytest.raises(RunError, match=rf"{shard.name} is damaged .* remove it and .*run `capcurriculum build"):
        build(wanted, Display())
    shard.unlink()
    if table in ("captions", "questions"):
        (wanted.run_dir / FILE).unlink()
    assert content(build(wanted, Display())) == before


def test_a_damaged_set_is_not_passed_on_to_another_order(tmp_path: Path) -> None:
    orders = [{"order": "capability_x_difficulty", "epochs": 1, "name": "again"}]
    made = hub_runs.build(tmp_path, rows=6, stages=("text",), curriculum={"orders": orders})
    shard = made.stages / "text/train-00000-of-00001.parquet"
    assert shard.stat().st_nlink > 1
    before = shard.read_bytes()
    flip(shard)  # the other order's file is the same
    shard.unlink()
    write_orders(made, made.recipe(), [STAGES], Display())
    assert shard.read_bytes() == before


def _deadly(when: str, wanted: str, work: Callable[[Run], object], made: Run) -> None:
    """Work that kill -9 ends in the middle of a rename."""

    def deadly(real: Callable[[Path, Path], Path]) -> Callable[[Path, Path], None]:
        def call(self: Path, target: Path) -> None:
            hit = wanted in str(target)
            if hit and when == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            real(self, target)
            if hit:
                os.kill(os.getpid(), signal.SIGKILL)

        return call

    Path.rename, Path.replace = deadly(Path.rename), deadly(Path.replace)  # type: ignore[assignment,method-assign]
    work(made)


def killed(when: str, wanted: str, work: Callable[[Run], object], made: Run) -> None:
    done = Fork(_deadly, when, wanted, work, made).done()
    assert done.returncode == -signal.SIGKILL, done.stderr


def add_questions_again(made: Run) -> None:
    made.questions.append(list(made.questions.rows()))


def write_stages(made: Run) -> None:
    write_orders(made, made.recipe(), [STAGES], Display())


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_kill_while_a_shard_is_renamed_leaves_whole_shards(tmp_path: Path, when: str) -> None:
    made = built.copied(tmp_path)
    before = list(made.questions.rows())
    killed(when, "questions/part-000001", add_questions_again, made)
    assert list(made.questions.rows()) == before * (2 if when == "after" else 1)
    assert cli.main(["verify", str(made.path)]) == 0
    made.questions.append(before)
    assert list(made.questions.rows()) == before * (3 if when == "after" else 2)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("target", [".tmp-old-stages", "runs/small/stages", "-of-00001.parquet", "order.json"])
def test_a_kill_while_stage_files_are_renamed_is_made_good(tmp_path: Path, when: str, target: str) -> None:
    made = hub_runs.build(tmp_path, rows=6, stages=("text",))
    files = {path.relative_to(made.path): path.read_bytes() for path in made.stages.rglob("*") if path.is_file()}
    (made.stages / "text/val-00000-of-00001.parquet").unlink()
    killed(when, target, write_stages, made)
    write_stages(made)
    assert {p.relative_to(made.path): p.read_bytes() for p in made.stages.rglob("*") if p.is_file()} == files


def test_a_clock_that_jumps_back_a_day_costs_nothing(small: Path) -> None:
    with endpoint.serving() as server:
        wanted = worlds.recipe_over(small, server.url)
        made = build(wanted, Display())
        before, asked = content(made), len(server.requests)
        _a_day_later(made)
        assert content(build(wanted, Display())) == before
        assert len(server.requests) == asked
        assert cli.main(["verify", str(made.path)]) == 0
        _a_day_later(made)
        Image.new("RGB", (64, 48), (1, 2, 3)).save(small / "docci/images/train_00003.png")
        with pytest.raises(SourceError, match=r"are not those any more .*train_00003.png"):
            build(wanted, Display())


def _a_day_later(made: Run) -> None:
    """All that the run has was written by a clock that was a day ahead."""
    ahead = time.time() + datetime.timedelta(days=1).total_seconds()
    for path in [*made.path.rglob("*")]:
        os.utime(path, (ahead, ahead))
    assert (made.path / FILE).stat().st_mtime > time.time()


def _as_anybody(words: list[str]) -> int:
    """The command line without root's powers to pass over permissions."""
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    powers = (ctypes.c_uint32 * 6)()
    ctypes.CDLL(None).capget(header, powers)
    powers[0] &= ~0b1110  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER
    ctypes.CDLL(None).capset(header, powers)
    return cli.main(words)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["status"], 0, "questions"),
        (["funnel"], 0, "rollouts"),
        (["why", "{question}"], 0, "stage file"),
        (["query", "select count(*) as n from stages"], 0, "12"),
        (["verify"], 0, "sound"),
        (["report", "--out", "{out}/report.html"], 0, "The report is"),
        (["report"], 2, "give another --out"),
        (["card", "--out", "{out}/card"], 0, "The card is"),
    ],
)
def test_a_run_that_may_not_be_written_can_be_read(tmp_path: Path, words: list[str], code: int, said: str) -> None:
    made = built.copied(tmp_path)
    names = {"{question}": next(made.questions.rows()).question_id, "{out}": str(tmp_path)}
    for name, value in names.items():
        words = [word.replace(name, value) for word in words]
    paths = [made.path, *made.path.rglob("*")]
    before = {path: path.read_bytes() for path in paths if path.is_file()}
    for path in paths:
        path.chmod(0o555 if path.is_dir() else 0o444)
    done = Fork(_as_anybody, [words[0], str(made.path), *words[1:]]).done()
    for path in paths:
        path.chmod(0o755 if path.is_dir() else 0o644)
    assert (done.returncode, said in done.stdout + done.stderr) == (code, True), done.stderr
    assert {path: path.read_bytes() for path in made.path.rglob("*") if path.is_file()} == before


def test_a_copy_of_a_locked_run_is_not_locked(tmp_path: Path) -> None:
    wanted = worlds.recipe_over(tmp_path, "http://127.0.0.1:1/v1")
    elsewhere = wanted.model_copy(update={"runs": str(tmp_path / "elsewhere")})
    with run.writing(wanted) as made:
        worlds.begin(made)
        (made.path / ".lock-workers").write_text("a build of that machine")
        shutil.copytree(made.path, elsewhere.run_dir)
        with run.writing(elsewhere) as copy:
            assert copy.descriptions.count() == 1
        with pytest.raises(RunError, match="Another process is writing"), run.writing(wanted):
            pass


def test_trainer_reads_the_files_of_a_run_whose_path_looks_like_a_pattern(tmp_path: Path) -> None:
    inside, trap = tmp_path / "a[1]" / "train-0.parquet", tmp_path / "a1" / "train-0.parquet"
    for path in (inside, trap):
        path.parent.mkdir()
        pq.write_table(pa.table({"who": [path.parent.name]}), path)
    (pattern,) = config._patterns((inside,))
    found = datasets.load_dataset("parquet", data_files=pattern, split="train", cache_dir=str(tmp_path / "cache"))
    assert found["who"] == ["a[1]"]
    assert config._patterns((trap,)) == [str(trap)]


def test_a_damaged_cache_of_preflight_is_forgotten(tmp_path: Path) -> None:
    from training.preflight.rows.row import RowResult

    kept = cache.RowCache("d", tmp_path)
    kept.add([(b"k" * 16, RowResult((), 3, 1))])
    assert len(kept.load()) == 1
    flip(next(kept.folder.glob("*.parquet")), 0.2)
    assert kept.load() == {}
    assert not list(kept.folder.glob("*.parquet"))
