"""The environment of a run and of published sets: what is written and sent; a download leaves it alone."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from capcurriculum import __version__, cli, recipe
from capcurriculum.engines import gold_check, source
from capcurriculum.engines.rows import rows
from capcurriculum.engines.source import Selection, Source, StageFiles
from capcurriculum.errors import RunError
from capcurriculum.render.progress import Display
from capcurriculum.run import Run
from cards.dataset.card import render
from cards.dataset.metadata import ENVIRONMENT_TAGS
from cards.environment import write
from hub.download import run as download
from hub.environment import environment
from hub.patience import Patience
from hub.publish import run as publishing
from hub.publish.run import Wanted, publish
from tests.support import hub_runs
from tests.support.hub_server import Served

TEXT, VISUAL = "alice/small-TextReasoning-Data", "alice/small-VisualReasoning-Data"
DATA = "environment/capcurriculum_small/data.json"
PATIENCE = Patience(tries=3, max_retry_after=5, sleep=lambda seconds: None)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of two stages."""
    return hub_runs.build(tmp_path_factory.mktemp("run"), stages=("text", "visual"))


def put(run: Run, **wanted: Any) -> None:
    publish(run, Wanted(**{"environment": True, "collection": False} | wanted), Display(), PATIENCE)


def described(served: Served, repo: str) -> Source:
    return Source.model_validate_json(served.hub.files(repo)[DATA])


def test_a_run_is_an_environment_over_its_own_files(built: Run, tmp_path: Path) -> None:
    folder = environment(str(built.path), tmp_path / "out")
    (data,) = gold_check.described(folder)
    found = list(rows(source.read(data), Selection()))
    assert [one.stage for one in found] == sorted(one.stage for one in found)
    assert {one.stage for one in found} == {"text", "visual"}
    assert all(isinstance(one.content[0], bytes) == (one.stage == "visual") for one in found)
    assert gold_check.validate(folder) == 40
    assert gold_check.validate(folder, ["text"], ["val", "test"]) < 20
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    environment(str(built.path), tmp_path / "out")
    assert before == {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_the_verbs_say_where_it_is_and_what_it_found(
    built: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "out")
    assert cli.main(["environment", str(built.path), "--out", out]) == 0
    assert cli.main(["validate", out, "--stage", "visual"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "pip install '" in said
    assert "20 rows: every gold answer scores 1.0." in said
    assert cli.main(["validate", out, "--stage", "visul"]) == 2
    assert cli.main(["validate", str(tmp_path)]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "There is no stage visul" in said
    assert "is no environment" in said


def test_another_folder_is_never_replaced(built: Run, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("x")
    with pytest.raises(RunError, match="is no environment"):
        environment(str(built.path), tmp_path)
    assert (tmp_path / "mine").is_file()


def test_gold_answers_that_do_not_score_stop_it(built: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = gold_check.scoring.Refused("k1", "text", "}", "Its outcome is unparsed.")
    monkeypatch.setattr(gold_check.scoring, "validate", lambda given: (len(list(given)), [bad]))
    with pytest.raises(RunError, match=r"3 of 40 gold answers do not score 1.0.*k1 of text, '}': Its outcome"):
        environment(str(built.path), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_names_of_others_never_reach_the_code(tmp_path: Path) -> None:
    name = 'x"\n__import__("os").system("id")\n"'
    stage = StageFiles(name="text", files={"train": ("t.parquet",)}, folder=str(tmp_path / name))
    written = write.write(tmp_path / "out", Source(name=name, capcurriculum=__version__, stages=(stage,)))
    texts = {path: path.read_text() for path in written}
    module = "capcurriculum_x_import_os_system_id"
    assert (tmp_path / "out" / module / "__init__.py") in texts
    assert json.loads(texts.pop(tmp_path / "out" / module / "data.json"))["name"] == name
    for path, text in texts.items():
        assert "__import__" not in text
        assert str(tmp_path) not in text
        if path.suffix == ".py":
            compile(text, path, "exec")
    (config,) = (tmp_path / "out").rglob("*.yaml")
    assert list(yaml.safe_load(config.read_text())) == [module, f"{module}_simple_agent"]
    with pytest.raises(ValueError, match="String should match pattern"):
        StageFiles(name='t"]\n', files={}, folder="x")


def test_each_repo_holds_the_environment_of_all_at_their_commits(built: Run, served: Served) -> None:
    put(built)
    assert len(served.hub.commits(TEXT)) == len(served.hub.commits(VISUAL)) == 3
    found = described(served, TEXT)
    assert found == described(served, VISUAL)
    assert [(stage.name, stage.repo) for stage in found.stages] == [("text", TEXT), ("visual", VISUAL)]
    assert gold_check.checked(found) == 40  # downloaded from these commits
    put(built)
    assert len(served.hub.commits(TEXT)) == len(served.hub.commits(VISUAL)) == 3
    put(built, environment=False)
    assert not [name for name in served.hub.files(TEXT) if name.startswith("environment/")]


def test_new_rows_are_named_at_their_own_commit(built: Run, served: Served, tmp_path: Path) -> None:
    put(built)
    before = described(served, TEXT)
    put(hub_runs.build(tmp_path / "more", rows=24, stages=("text", "visual")))
    after = described(served, TEXT)
    assert all(a.revision != b.revision for a, b in zip(before.stages, after.stages, strict=True))
    assert gold_check.checked(before) == 40  # who installed the earlier one still gets its rows
    assert gold_check.checked(after) == 48


def test_one_repo_names_itself_for_every_set(built: Run, served: Served) -> None:
    put(built, one_repo=True, tag="v1")
    (repo,) = [name for _, name in served.hub.repos]
    found = described(served, repo)
    assert {stage.repo for stage in found.stages} == {repo}
    assert [stage.files["train"] for stage in found.stages] == [
        (f"{name}/train-00000-of-00001.parquet",) for name in ("text", "visual")
    ]
    tagged = list(rows(found, Selection(stages=("visual",), revision="v1")))
    assert tagged == list(rows(found, Selection(stages=("visual",))))


def test_a_dry_run_shows_it_and_asks_nothing(built: Run, served: Served) -> None:
    put(built, dry_run=True)
    for name in ("small-TextReasoning-Data", "small-VisualReasoning-Data"):
        found = source.read(built.path / "publish" / name / DATA)
        assert {stage.revision for stage in found.stages} == {"main"}
    assert served.asked() == []


@pytest.mark.slow  # for the real card
def test_the_card_has_the_tag_and_the_lines(
    built: Run, served: Served, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(publishing, "render", render)
    put(built)
    _, block, text = served.hub.files(TEXT)["README.md"].decode().split("---\n", 2)
    assert set(ENVIRONMENT_TAGS) <= set(yaml.safe_load(block)["tags"])
    assert f'hf download {TEXT} --repo-type dataset --include "environment/*"' in text
    assert "vf-validate capcurriculum-small --runtime.type subprocess" in text
    put(built, environment=False)
    _, block, text = served.hub.files(TEXT)["README.md"].decode().split("---\n", 2)
    assert not set(ENVIRONMENT_TAGS) & set(yaml.safe_load(block)["tags"])
    assert "vf-validate" not in text


def test_a_download_neither_takes_nor_runs_it(built: Run, served: Served, tmp_path: Path) -> None:
    put(built)
    assert "environment/pyproject.toml" in served.hub.files(TEXT)
    before = len(served.asked())
    target = tmp_path / "back"
    download.download(download.Wanted("alice/small", to=target), Display(), PATIENCE)
    assert recipe.load(target / "recipe.yaml").name == "back"
    assert not list(target.rglob("*.py"))
    assert not [line for line in served.asked()[before:] if "environment/" in line]


def test_the_package_builds_and_needs_the_grader_alone(built: Run, tmp_path: Path) -> None:
    folder = environment(str(built.path), tmp_path / "out")
    told = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    assert told["dependencies"] == [f"capcurriculum[environment]=={__version__}"]
    assert told["version"].startswith(f"{__version__}+")
    program = f"import sys; sys.path.insert(0, {str(folder)!r}); import capcurriculum_small"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "No module named 'verifiers'" in done.stderr  # which is all that is missing here
