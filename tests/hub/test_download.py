"""Published sets come back into a folder that trains: the same bytes, checked, from the Hub or from the cache."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from huggingface_hub import constants

from capcurriculum import cli, recipe
from capcurriculum.errors import CapCurriculumError, HubError
from capcurriculum.render.progress import Display
from capcurriculum.run import Run
from curricula.make import sets
from hub.download.run import Wanted, download
from hub.patience import Patience
from hub.publish import run as publishing
from tests.support import hub_runs
from tests.support.hub_server import Fault, Served, serving
from tests.support.preflight_data import look
from training import stage_files

PATIENCE = Patience(tries=3, max_retry_after=5, sleep=lambda seconds: None)
VISUAL = "alice/small-VisualReasoning-Data"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return hub_runs.build(tmp_path_factory.mktemp("run"), rows=12)


@pytest.fixture(scope="module")
def hub(built: Run, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One server with one publication for all tests here."""
    folder = tmp_path_factory.mktemp("hub")
    with serving(folder / "server") as server, pytest.MonkeyPatch.context() as patch:
        hub_runs.connect(patch, server, folder / "home")
        put(built)
        yield server


@pytest.fixture
def published(hub: Served) -> Iterator[Served]:
    """The server; whatever a test does to it is undone."""
    repos = {key: replace(repo, branches=dict(repo.branches), tags={}) for key, repo in hub.hub.repos.items()}
    hub.faults.clear()
    yield hub
    hub.faults.clear()
    hub.hub.repos = repos


@pytest.fixture
def no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing was downloaded before."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))


def put(run: Run, **wanted: Any) -> None:
    publishing.publish(run, publishing.Wanted(**wanted), Display(), PATIENCE)


def bring(name: str, to: Path, **wanted: Any) -> Path:
    return download(Wanted(name, to=to, **wanted), Display(), PATIENCE)


def digests(run: Path, stages: tuple[str, ...] = ("perception", "text", "visual")) -> list[str]:
    return [stage_files.set_files(stage, [run / "stages" / stage]).digest for stage in stages]


@pytest.mark.usefixtures("light_preflight")
def test_a_round_trip_gives_the_same_files_and_trains(built: Run, published: Served, tmp_path: Path) -> None:
    target = bring("alice/small", tmp_path / "elsewhere" / "back")
    assert digests(target) == digests(built.path)
    for stage in ("perception", "text", "visual"):
        inspection, _ = look(target, stage_files.set_files(stage, [target / "stages" / stage]))
        assert inspection.findings.errors() == []
    wanted = recipe.load(target / "recipe.yaml")
    assert wanted.run_dir == target
    assert wanted.training is not None
    assert [run.stage for run in wanted.training.stages] == ["perception", "text", "visual"]
    assert [name for name, _ in sets(Run(target))] == ["perception", "text", "visual"]


@pytest.mark.usefixtures("no_cache")
def test_one_stage_comes_alone(built: Run, published: Served, tmp_path: Path) -> None:
    target = bring("alice/small", tmp_path / "back", stages=("text",))
    assert len([line for line in published.asked("GET /cdn/") if line.endswith("200")]) == 3
    assert digests(target, ("text",)) == digests(built.path, ("text",))
    assert [path.name for path in (target / "stages").iterdir() if path.is_dir()] == ["text"]
    training = recipe.load(target / "recipe.yaml").training
    assert training is not None
    assert [run.stage for run in training.stages] == ["text"]
    with pytest.raises(HubError, match="no stage sound"):
        bring("alice/small", tmp_path / "other", stages=("sound",))


@pytest.mark.usefixtures("no_cache")
def test_one_split_comes_alone_and_the_others_later(built: Run, published: Served, tmp_path: Path) -> None:
    published.faults.log.clear()
    target = bring("alice/small", tmp_path / "test", splits=("test",))
    assert len([line for line in published.asked("GET /cdn/") if line.endswith("200")]) == 3
    for stage in ("perception", "text", "visual"):
        (shard,) = (target / "stages" / stage).glob("*.parquet")
        assert shard.name.startswith("test-")
        assert shard.read_bytes() == (built.stages / stage / shard.name).read_bytes()
    assert cli.main(["download", VISUAL, "--split", "train", "--split", "val", "--to", str(tmp_path / "more")]) == 0
    assert digests(tmp_path / "more", ("visual",)) == digests(built.path, ("visual",))
    assert digests(bring("alice/small", tmp_path / "all")) == digests(built.path)


def test_a_split_that_is_not_there_is_said(
    published: Served, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(hub_runs.build(tmp_path / "whole", rows=12, name="whole", split={"val": 0.0, "test": 0.0}), collection=False)
    with pytest.raises(HubError, match=r"no stage text with a split val in .*; check --stage and --split"):
        bring("alice/whole", tmp_path / "back", stages=("text",), splits=("val",))
    assert cli.main(["download", VISUAL, "--split", "dev", "--to", str(tmp_path / "x")]) == 2
    assert "dev" in capsys.readouterr().err
    with pytest.raises(HubError, match="no split val in"):
        bring("alice/whole", tmp_path / "back", splits=("val",))


def test_a_repo_an_organization_and_a_collection_can_be_named(built: Run, published: Served, tmp_path: Path) -> None:
    assert digests(bring(VISUAL, tmp_path / "a"), ("visual",)) == digests(built.path, ("visual",))
    slug = next(iter(published.hub.collections))
    assert digests(bring(slug, tmp_path / "b")) == digests(built.path)
    put(built, one_repo=True, collection=False, namespace="curric-org")
    assert digests(bring("curric-org/small", tmp_path / "c")) == digests(built.path)
    assert digests(bring("https://huggingface.co/datasets/alice/small", tmp_path / "d")) == digests(built.path)


def test_a_revision_is_what_it_was(built: Run, published: Served, tmp_path: Path) -> None:
    put(built, tag="v1")
    more = hub_runs.build(tmp_path / "more", rows=15)
    put(more)
    assert digests(bring("alice/small", tmp_path / "old", revision="v1")) == digests(built.path)
    assert digests(bring("alice/small", tmp_path / "new")) == digests(more.path)
    with pytest.raises(HubError, match="v9"):
        bring("alice/small", tmp_path / "none", revision="v9")


def test_offline_the_cache_gives_the_same(
    built: Run, published: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bring("alice/small", tmp_path / "first")
    published.faults.clear()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert digests(bring("alice/small", tmp_path / "second")) == digests(built.path)
    assert digests(bring(VISUAL, tmp_path / "third"), ("visual",)) == digests(built.path, ("visual",))
    assert published.asked() == []
    with pytest.raises(HubError, match="cache holds nothing of alice/absent"):
        bring("alice/absent", tmp_path / "none")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", "http://127.0.0.1:9/x")
    assert digests(bring("alice/small", tmp_path / "fourth")) == digests(built.path)


@pytest.mark.usefixtures("no_cache")
def test_downloads_that_break_are_gone_on_with(built: Run, published: Served, tmp_path: Path) -> None:
    faults = [Fault(r"GET /cdn/", status=503), Fault(r"GET /cdn/", kind="cut", skip=1), Fault(r"GET /api/", status=500)]
    published.fail(*faults)
    assert digests(bring("alice/small", tmp_path / "back")) == digests(built.path)
    assert all(fault.met for fault in faults)


def test_downloading_again_does_nothing_new_and_nothing_of_the_users_is_lost(
    built: Run, published: Served, tmp_path: Path
) -> None:
    target = bring("alice/small", tmp_path / "back")
    bring("alice/small", target)
    (target / "training").mkdir()
    (target / "training" / "plan.json").touch()
    with pytest.raises(HubError, match="A training has begun"):
        bring("alice/small", target)
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").touch()
    with pytest.raises(HubError, match="was not downloaded"):
        bring("alice/small", mine)
    assert not list(tmp_path.glob(".tmp-*"))


def test_sets_of_different_builds_do_not_mix(published: Served, tmp_path: Path) -> None:
    put(hub_runs.build(tmp_path / "more", rows=15, stages=("visual",)))
    with pytest.raises(HubError, match="sets of different builds"):
        bring("alice/small", tmp_path / "back")


def test_what_is_not_there_is_said(published: Served, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["download", "alice/nothing", "--to", str(tmp_path / "x")]) == 2
    assert "no data set alice/nothing" in capsys.readouterr().err
    with pytest.raises(HubError, match="names nothing on the Hub"):
        bring("../../etc/passwd", tmp_path / "x")
    published.hub.put("alice/other", {"data.csv": b"1"})
    with pytest.raises(HubError, match="neither sets of this program nor the released data"):
        bring("alice/other", tmp_path / "x")


def table(path: Path, **changes: Any) -> bytes:
    """A shard with other columns."""
    found = pq.read_table(path)
    for name, column in changes.items():
        found = found.drop_columns([name]) if column is None else found.set_column(0, name, column)
    sink = pa.BufferOutputStream()
    pq.write_table(found, sink)
    return bytes(sink.getvalue())


def by_path(path: Path) -> bytes:
    """A shard whose pictures are names of files."""
    rows = [row | {"images": [{"bytes": None, "path": "/etc/passwd"}]} for row in pq.read_table(path).to_pylist()]
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows, schema=pq.read_schema(path)), sink)
    return bytes(sink.getvalue())


def describe(data: bytes, rows: int) -> dict[str, object]:
    import hashlib

    return {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data), "rows": rows}


def deep(levels: int) -> list[Any]:
    """Lists in lists."""
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda about, said: said.update(format=99), "newer version"),
        (lambda about, said: said["sets"][0].update(name="../../x"), "not one of this program"),
        (lambda about, said: said["sets"][0].update(name="order.json"), "as a file beside the sets is"),
        (lambda about, said: said["sets"][0].update(name="rows.parquet/epoch-1"), "as a file beside the sets is"),
        (lambda about, said: about["sets"][0].update(x=deep(200)), "nested more than 100 deep"),
        (lambda about, said: said.update(order="../x"), "not one of this program"),
        (
            lambda about, said: said["files"].update({"../../../x.parquet": said["files"].popitem()[1]}),
            "none of a split",
        ),
        (
            lambda about, said: said["files"].pop(next(iter(said["files"]))),
            "does not hold the shards that its order.json lists",
        ),
        (lambda about, said: [one.clear() for one in about["sets"]], "describes its sets"),
        (lambda about, said: next(iter(said["files"].values())).update(sha256="0" * 64), "does not have the digest"),
        (lambda about, said: next(iter(said["files"].values())).update(rows=10**9), "rows and not"),
        (lambda about, said: about.clear(), "not one of this program"),
        (lambda about, said: about.update(sets="x"), "not one of this program"),
    ],
)
def test_a_description_that_lies_is_refused(published: Served, tmp_path: Path, change: Any, sentence: str) -> None:
    about = json.loads(published.hub.files(VISUAL)["order.json"])
    change(about, about["published"])
    published.hub.put(VISUAL, {"order.json": json.dumps(about).encode()})
    with pytest.raises(HubError, match=sentence):
        bring(VISUAL, tmp_path / "back")
    assert not (tmp_path / "back").exists()


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        (lambda path: table(path, reward_model=None), "lacks the columns reward_model"),
        (
            lambda path: table(path, index=pa.array([1] * pq.read_metadata(path).num_rows)),
            "other types than expected in index",
        ),
        (by_path, "names images by path"),
    ],
)
def test_shards_of_another_kind_are_refused(
    built: Run, published: Served, tmp_path: Path, changed: Any, sentence: str
) -> None:
    shard = next((built.stages / "visual").glob("train-*"))
    data = changed(shard)
    about = json.loads(published.hub.files(VISUAL)["order.json"])
    about["published"]["files"][f"data/{shard.name}"] = describe(data, pq.read_metadata(shard).num_rows)
    published.hub.put(VISUAL, {f"data/{shard.name}": data, "order.json": json.dumps(about).encode()})
    with pytest.raises(HubError, match=sentence):
        bring(VISUAL, tmp_path / "back")


@pytest.mark.parametrize("name", ["../../escape.parquet", "/etc/passwd", "a\\b.json", "C:x"])
def test_names_that_lead_anywhere_are_refused_before_a_byte_comes(published: Served, tmp_path: Path, name: str) -> None:
    published.hub.put(VISUAL, {name: b"x"})
    with pytest.raises(HubError, match="leads out of its folder"):
        bring(VISUAL, tmp_path / "back")


def test_huge_files_and_full_disks_are_refused_before_a_byte_comes(
    published: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hub.download import fetch

    with monkeypatch.context() as patch:
        patch.setattr(fetch, "MAX_FILE", 1000)
        with pytest.raises(HubError, match="bytes, more than 1000; not downloaded"):
            bring(VISUAL, tmp_path / "back")
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=10))
    with pytest.raises(CapCurriculumError, match="make room"):
        bring(VISUAL, tmp_path / "back")


def test_a_recipe_from_the_hub_is_read_as_data(published: Served, tmp_path: Path) -> None:
    published.hub.put(VISUAL, {"recipe.yaml": b"!!python/object/apply:os.system ['touch owned']"})
    with pytest.raises(HubError, match="is not one of this version"):
        bring(VISUAL, tmp_path / "back")


def test_the_sets_of_another_order_come_back_as_that_order(published: Served, tmp_path: Path) -> None:
    run = hub_runs.build(tmp_path / "run", rows=15, name="ordered", curriculum={"orders": [{"order": "merged"}]})
    put(run, order="merged", collection=False)
    target = bring("alice/ordered", tmp_path / "back")
    assert [name for name, _ in sets(Run(target), "merged")] == ["merged"]
    shards = sorted((target / "curricula" / "merged" / "merged").glob("*.parquet"))
    assert shards
    assert all(path.read_bytes() == (run.path / path.relative_to(target)).read_bytes() for path in shards)
    training = recipe.load(target / "recipe.yaml").training
    assert training is not None
    assert training.order == "merged"
