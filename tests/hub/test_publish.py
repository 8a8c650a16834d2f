"""Publishing through the real clients to a server that speaks the Hub's protocol: what is there afterwards is whole."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from huggingface_hub import DatasetCard

from capcurriculum import cli, recipe
from capcurriculum.errors import HubError, RecipeError
from capcurriculum.render.progress import Display
from capcurriculum.rows import Verdict
from capcurriculum.run import Run, writing
from cards.dataset.card import render
from curricula import order_file
from curricula.make import STAGES, write_orders
from hub.patience import Patience
from hub.publish import card_merge
from hub.publish import run as publishing
from hub.publish.run import Wanted, publish
from tests.support import hub_runs
from tests.support.hub_server import Fault, Served

NAMES = [f"alice/small-{name}-Data" for name in ("Perception", "TextReasoning", "VisualReasoning")]
VISUAL = "alice/small-VisualReasoning-Data"
PATIENCE = Patience(tries=3, max_retry_after=5, sleep=lambda seconds: None)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return hub_runs.build(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of the visual stage alone, which is one repo."""
    return hub_runs.build(tmp_path_factory.mktemp("single"), stages=("visual",))


def put(run: Run, **wanted: Any) -> None:
    publish(run, Wanted(**wanted), Display(), PATIENCE)


def sent(served: Served) -> list[str]:
    """Requests that brought contents or commits."""
    return [line for line in served.asked() if line.startswith("PUT") or "/commit/" in line]


@pytest.mark.slow  # for the real card and three repos
def test_a_run_is_three_repos_that_load_by_their_names(
    built: Run, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    import datasets

    monkeypatch.setattr(publishing, "render", render)  # the real card, here and not in the tests below
    put(built)
    assert sorted(name for _, name in served.hub.repos) == NAMES
    for name in NAMES:
        loaded = datasets.load_dataset(name)
        assert set(loaded) == {"train", "val", "test"}
        assert sum(map(len, loaded.values())) == 20
        assert loaded["train"][0]["images"] or "Text" in name
    (collection,) = served.hub.collections.values()
    assert [item["id"] for item in collection["items"]] == NAMES
    put(built)
    assert [len(served.hub.commits(name)) for name in NAMES] == [2, 2, 2]


def test_publishing_again_sends_nothing_and_commits_nothing(single: Run, served: Served) -> None:
    put(single)
    assert served.hub.commits(VISUAL) == ["capcurriculum: visual of small", "initial commit"]
    served.faults.clear()
    put(single)
    assert sent(served) == []
    assert len(served.hub.commits(VISUAL)) == 2


def test_all_of_a_repo_comes_in_one_commit(single: Run, served: Served) -> None:
    put(single)
    files = served.hub.files(VISUAL)
    about = json.loads(files["order.json"])
    assert {name for name in files if name.endswith(".parquet")} == set(about["published"]["files"])
    assert {"README.md", "recipe.yaml", "funnel.json"} <= set(files)
    assert len([line for line in sent(served) if "/commit/" in line]) == 1
    recipe.parse(yaml.safe_load(files["recipe.yaml"]), "published")


def test_one_repo_has_a_configuration_for_each_set(built: Run, served: Served) -> None:
    import datasets

    put(built, one_repo=True, collection=False)
    assert [name for _, name in served.hub.repos] == ["alice/small-Data"]
    assert datasets.get_dataset_config_names("alice/small-Data") == ["perception", "text", "visual"]
    assert len(datasets.load_dataset("alice/small-Data", "text", split="train")) > 0
    assert not served.hub.collections


def test_a_dry_run_writes_the_folder_and_asks_nothing(single: Run, served: Served) -> None:
    put(single, dry_run=True)
    folder = single.path / "publish" / "small-VisualReasoning-Data"
    assert (folder / "README.md").is_file()
    assert len(list(folder.glob("data/*.parquet"))) == 3
    assert served.asked() == []


def test_shards_are_linked_and_never_copied(single: Run, served: Served) -> None:
    put(single, dry_run=True)
    for shard in (single.path / "publish").rglob("*.parquet"):
        assert shard.samefile(single.stages / "visual" / shard.name)


def test_another_namespace_must_be_the_tokens_own(single: Run, served: Served) -> None:
    put(single, namespace="curric-org", private=True)
    repo = served.hub.repos["dataset", "curric-org/small-VisualReasoning-Data"]
    assert repo.private
    with pytest.raises(HubError, match=r"cannot publish under nobody; it belongs to alice, curric-org"):
        put(single, namespace="nobody")


def test_private_data_never_goes_into_a_public_repo(single: Run, served: Served) -> None:
    served.hub.create("dataset", VISUAL, False, "alice")
    with pytest.raises(HubError, match="exists and is public"):
        put(single, private=True)
    assert sent(served) == []


@pytest.mark.parametrize(
    ("token", "sentence"),
    [("", "There is no token"), ("hf_read", "may only read"), ("hf_nobody", "does not accept the token")],
)
def test_a_token_that_will_not_do_is_said_in_a_sentence(
    single: Run, served: Served, monkeypatch: pytest.MonkeyPatch, token: str, sentence: str
) -> None:
    monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(HubError, match=sentence) as caught:
        put(single)
    assert "hf_read" not in str(caught.value)
    assert "hf_nobody" not in str(caught.value)
    assert not served.hub.repos


def test_foreign_files_are_refused_and_overwritten_only_on_request(single: Run, served: Served) -> None:
    served.hub.put(VISUAL, {"data/train-old.parquet": b"theirs", "notes.txt": b"theirs"})
    with pytest.raises(HubError, match="holds files that are not of this program"):
        put(single)
    assert sent(served) == []
    put(single, overwrite=True)
    files = served.hub.files(VISUAL)
    assert "data/train-old.parquet" not in files
    assert files["notes.txt"] == b"theirs"


def test_the_sets_of_another_recipe_are_not_replaced(single: Run, served: Served, tmp_path: Path) -> None:
    other = hub_runs.build(tmp_path / "other", stages=("visual",), name="other", publish={"prefix": "small"})
    put(other)
    with pytest.raises(HubError, match=r"another recipe \('other', not 'small'\)"):
        put(single)
    put(single, overwrite=True)
    assert json.loads(served.hub.files(VISUAL)["order.json"])["published"]["recipe"] == "small"


def test_what_people_add_to_a_card_survives(single: Run, served: Served) -> None:
    put(single)
    card = DatasetCard(served.hub.files(VISUAL)["README.md"].decode())
    mine = {"config_name": "mine", "data_files": [{"split": "train", "path": "data/test-*.parquet"}]}
    card.data.configs = [*card.data.configs, mine]
    card.data.tags = [*card.data.tags, "hand-picked"]
    card.data.annotations_creators = ["expert-generated"]
    served.hub.put(VISUAL, {"README.md": f"{card}\nWritten by hand.\n".encode(), "LICENSE": b"free"})
    put(single)
    again = DatasetCard(served.hub.files(VISUAL)["README.md"].decode())
    assert mine in again.data.configs
    assert "hand-picked" in again.data.tags
    assert again.data.annotations_creators == ["expert-generated"]
    assert again.text.endswith("Written by hand.\n")
    assert served.hub.files(VISUAL)["LICENSE"] == b"free"
    before = served.hub.commits(VISUAL)
    put(single)
    assert served.hub.commits(VISUAL) == before


def test_a_changed_run_replaces_its_old_shards(served: Served, tmp_path: Path) -> None:
    put(hub_runs.build(tmp_path / "first", stages=("visual",)))
    served.hub.put(VISUAL, {"data/train-00000-of-00009.parquet": b"a shard of an earlier publication"})
    put(hub_runs.build(tmp_path / "second", rows=30, stages=("visual",)))
    files = served.hub.files(VISUAL)
    assert "data/train-00000-of-00009.parquet" not in files
    assert sum(said["rows"] for said in json.loads(files["order.json"])["published"]["files"].values()) == 30


def test_a_tag_marks_what_was_read_back_and_moves_for_nobody(single: Run, served: Served, tmp_path: Path) -> None:
    put(single, tag="v1")
    put(single, tag="v1")
    repo = served.hub.repos["dataset", VISUAL]
    assert repo.tags == {"v1": repo.branches["main"]}
    more = hub_runs.build(tmp_path / "more", rows=25, stages=("visual",))
    served.faults.clear()
    with pytest.raises(HubError, match="holds something else under the tag v1"):
        put(more, tag="v1")
    assert sent(served) == []
    put(more)
    with pytest.raises(HubError, match="The tag v1 of"):
        put(more, tag="v1")


def test_a_branch_leaves_main_alone(single: Run, served: Served) -> None:
    put(single, branch="try")
    assert served.hub.commits(VISUAL) == ["initial commit"]
    assert served.hub.commits(VISUAL, "try")[0] == "capcurriculum: visual of small"
    assert not served.hub.collections


def test_a_pull_request_is_opened_once_and_gone_on_with(single: Run, served: Served, tmp_path: Path) -> None:
    with pytest.raises(HubError, match="not on the Hub yet"):
        put(single, pull=True)
    put(single)
    more = hub_runs.build(tmp_path / "more", rows=25, stages=("visual",))
    put(more, pull=True)
    put(more, pull=True)
    repo = served.hub.repos["dataset", VISUAL]
    assert [(pull.num, pull.status) for pull in repo.pulls] == [(1, "open")]
    assert len(served.hub.commits(VISUAL, "refs/pr/1")) == len(served.hub.commits(VISUAL)) + 1
    put(single, pull=True)
    assert len(repo.pulls) == 1


def test_options_that_contradict_each_other_are_refused(single: Run) -> None:
    with pytest.raises(HubError, match="leave out --branch and --tag"):
        put(single, pull=True, tag="v1")
    with pytest.raises(HubError, match="no name of a tag"):
        put(single, tag="../../x")
    with pytest.raises(RecipeError, match="Hub takes no name like a--b"):
        hub_runs.wanted(Path("x"), publish={"prefix": "a--b"})


def test_somebody_elses_commit_in_between_is_merged_with(single: Run, served: Served) -> None:
    put(single)
    served.hub.put(VISUAL, {"README.md": b"---\npretty_name: x\n---\nmine"})
    served.fail(Fault(r"POST .*/commit/main", status=412))
    put(single)
    card = DatasetCard(served.hub.files(VISUAL)["README.md"].decode())
    assert card.data.configs
    assert card_merge.KEEP in card.text


def test_an_answer_that_gets_lost_makes_no_second_commit(single: Run, served: Served) -> None:
    served.fail(Fault(r"POST .*/commit/main", kind="lost"))
    put(single)
    assert len(served.hub.commits(VISUAL)) == 2


def test_the_rate_limit_is_waited_out_as_told(single: Run, served: Served) -> None:
    waits: list[float] = []
    notes: list[str] = []
    patience = replace(PATIENCE, max_retry_after=60, sleep=waits.append, note=notes.append)
    served.fail(Fault(r"POST .*/commit/main", status=429, headers={"Retry-After": "42"}))
    publish(single, Wanted(), Display(), patience)
    assert waits == [43]
    assert "Trying again in 43 s" in notes[0]
    served.hub.repos.clear()
    served.fail(Fault(r"POST .*/commit/main", status=429, headers={"Retry-After": "3000"}))
    with pytest.raises(HubError, match="rate limit is reached; run the same command again in 3000 s"):
        publish(single, Wanted(), Display(), patience)


def test_a_full_account_is_said_so(single: Run, served: Served) -> None:
    served.fail(Fault(r"POST .*/commit/main", status=403, message="Private repository storage limit reached", times=9))
    with pytest.raises(HubError, match="no room left on the Hub") as caught:
        put(single)
    assert "storage limit reached" in str(caught.value)
    assert served.hub.commits(VISUAL) == ["initial commit"]


def test_what_is_not_there_is_said_so(
    single: Run, served: Served, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert cli.main(["publish", str(single.path)]) == 2
    assert "HF_HUB_OFFLINE is set" in capsys.readouterr().err
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(HubError, match="the Hub cannot be reached"):
        put(single)


def test_a_run_without_whole_stage_files_is_refused(tmp_path: Path, served: Served) -> None:
    run = hub_runs.build(tmp_path / "run", stages=("text",))
    about = order_file.read(run.stages)
    assert about is not None
    next(run.stages.glob("text/train-*")).unlink()
    assert cli.main(["publish", str(run.path)]) == 2
    assert not served.hub.repos


def test_files_older_than_the_verdicts_are_refused(tmp_path: Path, served: Served) -> None:
    run = hub_runs.build(tmp_path / "run", stages=("text",))
    recipe, question = run.recipe(), next(run.questions.rows())
    section = next(section for section in recipe.filters if "text" in section.stages)
    dropped = Verdict(question.question_id, "text", section.name, False, "dropped", params=section.digest(recipe))
    with writing(recipe) as again:
        again.verdicts.append([dropped])
    with pytest.raises(HubError, match="capcurriculum build"):
        put(run)
    assert not served.hub.repos
    write_orders(run, recipe, [STAGES], Display())
    put(run)


def test_a_recipe_file_may_give_other_names_than_the_run_keeps(single: Run, served: Served, tmp_path: Path) -> None:
    file = tmp_path / "again.yaml"
    named = single.recipe().model_dump(mode="json") | {"publish": {"prefix": "mine", "names": {"visual": "Seen"}}}
    file.write_text(yaml.safe_dump(named), encoding="utf-8")
    assert cli.main(["publish", str(file), "--no-collection"]) == 0
    assert [name for _, name in served.hub.repos] == ["alice/mine-Seen-Data"]
    assert single.recipe().publish.prefix is None
    file.write_text(yaml.safe_dump(named | {"seed": 99}), encoding="utf-8")
    assert cli.main(["publish", str(file)]) == 2
