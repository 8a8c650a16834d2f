"""Checkpoints on the Hub: only what is safe to load goes, and nothing of the machine it was made on."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from capcurriculum import cli
from capcurriculum.errors import HubError
from capcurriculum.render.progress import Display
from datagen import micro
from hub.patience import Patience
from hub.publish import checkpoint, model, publication
from hub.publish.model import Wanted
from tests.support import hub_runs
from tests.support.hub_server import Served

PATIENCE = Patience(tries=3, max_retry_after=5, sleep=lambda seconds: None)
REPO = "alice/small-model"


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    """A checkpoint where training leaves it, with traces of the machine in its configuration."""
    run = hub_runs.build(tmp_path / "run", rows=8, stages=("text",))
    folder = run.path / "training" / "text" / "checkpoint"
    shutil.copytree(micro.checkpoint("start"), folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"_name_or_path": "/home/alice/secret/start"}))
    (folder / "trainer_state.json").write_text("{}")
    publication.note(run, "", [("alice/small-TextReasoning-Data", "0" * 40)])
    return folder


def put(folder: Path, **wanted: object) -> None:
    model.publish(folder, Wanted(REPO, **wanted), Display(), PATIENCE)  # type: ignore[arg-type]


def test_a_checkpoint_is_on_the_hub_as_it_is_here(trained: Path, served: Served) -> None:
    put(trained, tag="v1")
    files = served.hub.files(REPO, kind="model")
    assert files["model.safetensors"] == (trained / "model.safetensors").read_bytes()
    assert json.loads(files["config.json"])["_name_or_path"] == "start"
    assert "secret" not in "".join(str(data) for name, data in files.items() if name.endswith((".json", ".md")))
    assert "trainer_state.json" not in files
    assert {"README.md", "tokenizer.json", "chat_template.jinja"} <= set(files)
    assert served.hub.repos["model", REPO].tags
    assert not list(trained.parent.glob(".*publish*"))


def test_the_same_checkpoint_again_is_no_new_commit(trained: Path, served: Served) -> None:
    put(trained)
    served.faults.clear()
    put(trained)
    assert len(served.hub.commits(REPO, kind="model")) == 2
    assert not [line for line in served.asked() if line.startswith("PUT")]


def test_the_card_is_told_which_run_it_comes_from(trained: Path, tmp_path: Path) -> None:
    staged = model.stage(trained, checkpoint.check(trained), REPO, tmp_path / "a" / "staged")
    assert staged.run is not None
    assert (staged.run.recipe().name, staged.stage) == ("small", "text")
    assert staged.datasets == ("alice/small-TextReasoning-Data",)
    assert staged.recipe is not None
    assert (staged.folder / "model.safetensors").samefile(trained / "model.safetensors")
    elsewhere = model.stage(shutil.copytree(trained, tmp_path / "alone"), [], REPO, tmp_path / "b" / "staged")
    assert (elsewhere.run, elsewhere.stage) == (None, "")


def test_it_is_staged_where_no_package_lies_and_nothing_is_left(
    trained: Path, served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAPCURRICULUM_CACHE", str(tmp_path / "cache"))
    alone = shutil.copytree(trained, tmp_path / "models" / "alone")

    def files() -> set[Path]:
        return {path for name in ("run", "models", "cache") for path in (tmp_path / name).rglob("*") if path.is_file()}

    for folder, above in ((trained, trained.parents[2]), (alone, tmp_path / "cache")):
        before = files()
        model.publish(folder, Wanted(REPO, dry_run=True), Display(), PATIENCE)
        [mark] = above.rglob(model.MARK)
        (mark.parent / "left").touch()  # as if an attempt had been killed
        with monkeypatch.context() as broken:
            broken.setattr(model.verify, "files", interrupt)
            with pytest.raises(KeyboardInterrupt):
                put(folder)
        assert not mark.parent.exists()
        put(folder)
        assert "left" not in served.hub.files(REPO, kind="model")
        assert files() == before


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def test_another_model_is_not_replaced(trained: Path, served: Served) -> None:
    served.hub.put(REPO, {"pytorch_model.bin": b"theirs"}, kind="model")
    with pytest.raises(HubError, match="did not put there"):
        put(trained)
    put(trained, overwrite=True)
    assert "model.safetensors" in served.hub.files(REPO, kind="model")


def test_a_dry_run_asks_nothing(trained: Path, served: Served, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["publish-model", str(trained), "--repo", REPO, "--dry-run"]) == 0
    assert "Nothing was sent" in capsys.readouterr().err
    assert served.asked() == []
    assert cli.main(["publish-model", str(trained), "--repo", "no-namespace"]) == 2


def cut(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1])


def header(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(b"\xff" * 16 + path.read_bytes()[16:])


def code(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"auto_map": {"AutoModel": "x.Y"}}))


def outside(folder: Path) -> None:
    (folder / "vocab.json").symlink_to("/etc/hostname")


def sharded(folder: Path) -> None:
    shutil.copy(folder / "model.safetensors", folder / "model-2.safetensors")


def misled(folder: Path) -> None:
    (folder / checkpoint.INDEX).write_text(json.dumps({"weight_map": {"nothing": "model.safetensors"}}))


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (cut, "not as long as its header says"),
        (header, "no safetensors file, or was cut short|damaged header"),
        (code, "names code of its own"),
        (outside, "leads out of its folder"),
        (sharded, "several safetensors files and no"),
        (misled, "tensors that are not there"),
        (lambda folder: (folder / "optimizer.pt").touch(), "can run code when loaded"),
        (lambda folder: (folder / "modeling.py").touch(), "can run code when loaded"),
        (lambda folder: (folder / "config.json").write_text("[]"), "must hold one JSON object"),
        (lambda folder: (folder / "config.json").unlink(), "no checkpoint to publish"),
        (lambda folder: (folder / "model.safetensors").unlink(), "no checkpoint to publish"),
        (shutil.rmtree, "There is no folder"),
    ],
)
def test_what_nobody_should_load_is_refused(tmp_path: Path, damage: Callable[[Path], None], sentence: str) -> None:
    folder = tmp_path / "checkpoint"
    shutil.copytree(micro.checkpoint("start"), folder)
    assert checkpoint.check(folder)
    damage(folder)
    with pytest.raises(HubError, match=sentence):
        checkpoint.check(folder)
