"""Trainings on any order of a built run, beside one another, and recipes that share a run."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from capcurriculum import cli, recipe
from capcurriculum.errors import RecipeError, RunError, TrainerError
from capcurriculum.files import json_file
from capcurriculum.recipe import Recipe, dump
from capcurriculum.recipe.training import TrainingRecipe
from capcurriculum.render.progress import Display
from capcurriculum.run import Run, recipe_of, writing
from curricula import make
from tests.curricula.test_make import fill, wanted
from tests.support import training_data
from tests.training.test_chain import stand_in
from training import chain
from training.checkpoints import export
from training.preflight.inspection import Inspection
from training.stages import Links
from training.supervise import supervisor

KNOBS = {"epochs": 1, "batch_size": 4, "mini_batch_size": 4, "log_prob_micro_batch": 20, "update_micro_batch": 20}


def training(**values: Any) -> dict[str, Any]:
    return {"model": "parent", "knobs": KNOBS, **values}


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A built run, and a first parent."""
    folder = tmp_path_factory.mktemp("original")
    asked = wanted(folder)
    run = fill(asked)
    with writing(asked):
        make.write_orders(run, asked, [make.STAGES], Display(Console(quiet=True)))
    parent = folder / "parent"
    parent.mkdir()
    (parent / "config.json").write_text("{}")
    (parent / "model.safetensors").write_bytes(training_data.weights("weights"))
    return folder


@pytest.fixture
def built(original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, in which nothing is trained for real."""
    shutil.copytree(original, tmp_path, symlinks=True, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(export, "_verify", lambda *arguments: "A")
    monkeypatch.setattr(Inspection, "files", lambda self, data: data.files)  # the rows of this run are no real problems
    monkeypatch.setattr(supervisor, "run", stand_in())
    return tmp_path


def links(folder: Path, **values: Any) -> Links:
    asked = wanted(folder, training=training(**values))
    assert asked.training is not None
    return Links(asked, asked.training, Display(Console(quiet=True)))


def names(found: Links) -> list[str]:
    return [stage.stage for stage in found.stages]


def test_without_an_order_the_links_are_the_stages_that_were_built(built: Path) -> None:
    assert names(links(built)) == ["text", "visual"]
    assert names(links(built, stages=["visual", "text"])) == ["visual", "text"]
    assert names(links(built, stages=[{"stage": "visual"}])) == ["visual"]


@pytest.mark.parametrize(
    ("order", "sets"),
    [
        ("merged", ["merged"]),
        ({"order": "difficulty"}, ["difficulty"]),
        ({"order": "capability", "stages": ["visual", "text"], "name": "backwards"}, ["visual", "text"]),
        ({"order": "capability_x_difficulty"}, ["text", "visual"]),
    ],
)
def test_an_order_that_is_not_there_is_written_and_its_sets_are_the_links(built: Path, order: Any, sets: Any) -> None:
    found = links(built, order=order)
    assert names(found) == sets
    assert sum(stage.rows for stage in found.stages) == sum(stage.rows for stage in links(built).stages)
    assert names(links(built, order=order, stages=sets[-1:])) == sets[-1:]


def test_an_order_of_the_run_is_named_by_its_folder(built: Path) -> None:
    links(built, order={"order": "merged", "balance": {"by": "stage", "batch": 4}, "name": "even"})
    assert names(links(built, order="even")) == ["merged"]
    with pytest.raises(RunError, match=r"has no order uneven .*it has even"):
        links(built, order="uneven")
    with pytest.raises(RecipeError, match=r"order even of the run .* has no set text; training.stages may name merged"):
        links(built, order="even", stages=["text"])


def test_files_for_each_epoch_make_one_link_and_count_as_epochs(built: Path) -> None:
    once = links(built, order="merged").stages[0]
    order = {"order": "merged", "epochs": 2}
    found = links(built, order=order, knobs={**KNOBS, "epochs": 4})
    assert names(found) == ["merged"]
    stage = found.stages[0]
    assert (stage.rows, stage.epochs) == (2 * once.rows, 2)
    assert [path.parent.name for path in found.links[0].files.train] == ["epoch-01", "epoch-02"]
    with pytest.raises(RecipeError, match="files for 2 epochs, of which 3 epochs are no whole number"):
        links(built, order=order, knobs={**KNOBS, "epochs": 3})


def test_all_stages_are_validated_on_before_the_first_of_the_chain_and_never_silently_not_at_all(built: Path) -> None:
    found = links(built, validate_on="all", knobs={**KNOBS, "validate_every": 2})
    for number, link in enumerate(found.links):
        keys = found.config(link, Path("p"), 1)
        assert [Path(file).parent.name for file in keys["data.val_files"]] == ["text", "visual"]
        assert keys["trainer.val_before_train"] is (number == 0)
        assert keys["trainer.validation_data_dir"] == str(link.validation)
    found = links(built, knobs={**KNOBS, "validate_every": 2})
    for link in found.links:
        keys = found.config(link, Path("p"), 1)
        assert [Path(file).parent.name for file in keys["data.val_files"]] == [link.run.stage]
        assert keys["trainer.val_before_train"] is True
    with pytest.raises(RecipeError, match=r"text is to be validated on all stages' rows and never is; set training.kn"):
        links(built, validate_on="all")


def test_drawing_rows_anew_each_epoch_is_refused_where_it_undoes_the_order(built: Path) -> None:
    shuffled = {**KNOBS, "shuffle": True}
    for order in ("merged", "capability"):
        found = links(built, order=order, knobs=shuffled)
        assert found.config(found.links[0], Path("p"), 1)["data.shuffle"] is True
    for order in (None, "difficulty", {"order": "merged", "balance": {"by": "stage", "batch": 4}}):
        with pytest.raises(RecipeError, match=r"undoes their order; set training.order to merged or capability"):
            links(built, order=order, knobs=shuffled)


def test_a_dry_run_writes_no_order(built: Path) -> None:
    asked = wanted(built, training=training(order="merged"))
    with pytest.raises(TrainerError, match="has no order merged yet; a training writes it first"):
        chain.train(asked, dry_run=True)
    assert not (built / "runs/run/curricula/merged").exists()


def test_a_run_that_is_not_built_is_said(tmp_path: Path) -> None:
    asked = wanted(tmp_path, training=training(model="micro:start"))
    with pytest.raises(TrainerError, match=r"has no stage files; build it first"):
        chain.train(asked, dry_run=True)


def plans(folder: Path) -> dict[str, list[str]]:
    found = Run(folder / "runs/run").plans
    return {p.parent.name: [s["state"] for s in json.loads(p.read_text())["stages"]] for p in found}


def test_trainings_of_one_run_live_beside_each_other(built: Path) -> None:
    chain.train(wanted(built, training=training(knobs={**KNOBS, "max_steps": 2})))
    chain.train(wanted(built, training=training(name="mixed", order="merged", knobs={**KNOBS, "max_steps": 2})))
    assert plans(built) == {"training": ["done", "done"], "mixed": ["done"]}
    assert (built / "runs/run/trainings/mixed/merged/checkpoint/model.safetensors").is_file()
    assert (built / "runs/run/training/visual/checkpoint/model.safetensors").is_file()


def test_one_stage_alone_needs_those_before_it(built: Path) -> None:
    asked = wanted(built, training=training(knobs={**KNOBS, "max_steps": 2}))
    with pytest.raises(TrainerError, match="Stage visual follows text, which is not done; train that first"):
        chain.train(asked, stage="visual")
    with pytest.raises(TrainerError, match="has no stage vision; its stages are text, visual"):
        chain.train(asked, stage="vision")
    chain.train(asked, stage="text")
    assert plans(built) == {"training": ["done", "pending"]}
    chain.train(asked, stage="visual")
    assert plans(built) == {"training": ["done", "done"]}


def test_another_backbone_is_another_training_with_its_own_model(built: Path) -> None:
    before = wanted(built, training=training(name="mixed", order="merged", knobs={"epochs": 3}))
    after = chain.with_backbone(before, "qwen3_vl_8b").training
    assert after is not None
    assert (after.name, after.backbone, after.model, after.order) == ("mixed-qwen3_vl_8b", "qwen3_vl_8b", "", "merged")
    assert after.knobs.model_dump(exclude_none=True) == {"epochs": 3}
    assert chain.with_backbone(before, "micro") is before
    bare = chain.with_backbone(wanted(built), "micro").training
    assert bare == TrainingRecipe(backbone="micro", name="micro")


def write(folder: Path, **files: str) -> Callable[[str], Recipe]:
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)
    return lambda name: recipe.load(folder / f"{name}.yaml")


BASE = """
name: shared
models: {m: {engine: transformers, model: x}}
rollouts: {model: m, k: 8}
text: {source: {kind: scenes}}
training: {backbone: micro, knobs: {epochs: 3, batch_size: 16}}
"""


def test_a_recipe_that_extends_another_says_only_what_differs(tmp_path: Path) -> None:
    load = write(
        tmp_path,
        base=BASE,
        merged="extends: base.yaml\ntraining: {name: merged, order: merged, knobs: {epochs: 5}}",
        third="extends: merged.yaml\nrollouts: {k: 4}\ntraining: {order: difficulty}",
    )
    base, merged, third = load("base"), load("merged"), load("third")
    assert merged.run_dir == base.run_dir
    assert (base.training_dir.name, merged.training_dir.name) == ("training", "merged")
    assert recipe.differences(base, merged) == []
    assert third.training is not None
    assert (third.training.order, third.training.knobs.epochs, third.training.knobs.batch_size) == ("difficulty", 5, 16)
    assert recipe.differences(base, third) == ["rollouts.k: 8 -> 4"]


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ("../outside.yaml", "lies outside of its folder"),
        ("/etc/passwd.yaml", "lies outside of its folder"),
        ("link.yaml", "lies outside of its folder"),
        ("base.txt", "must name one YAML file"),
        ("[a.yaml, b.yaml]", "must name one YAML file"),
        ("absent.yaml", "cannot be read"),
        ("list.yaml", "is no mapping of keys"),
        ("self.yaml", "extends itself by way of"),
    ],
)
def test_what_a_recipe_may_not_extend(tmp_path: Path, named: str, said: str) -> None:
    folder = tmp_path / "recipes"
    folder.mkdir()
    (tmp_path / "outside.yaml").write_text(BASE)
    (folder / "link.yaml").symlink_to(tmp_path / "outside.yaml")
    (folder / "list.yaml").write_text("[1]")
    (folder / "below").mkdir()
    (folder / "below" / "linked.yaml").write_text("extends: link.yaml")
    load = write(folder, self=f"extends: {named}\nname: a", other="extends: self.yaml")
    if named == "link.yaml":  # also not by way of a link to a recipe in another folder
        (folder / "by_link.yaml").symlink_to("below/linked.yaml")
        with pytest.raises(RecipeError, match=said):
            load("by_link")
    with pytest.raises(RecipeError, match=said):
        load("self")
    if named == "self.yaml":
        with pytest.raises(RecipeError, match=said):
            load("other")


def test_a_shipped_recipe_that_a_link_leads_to_may_be_extended(tmp_path: Path) -> None:
    (tmp_path / "staged.yaml").symlink_to(Path("curricula/recipes/paper/staged.yaml").absolute())
    load = write(tmp_path, base=BASE, mine="extends: staged.yaml\ntraining: {knobs: {epochs: 5}}")
    mine = load("mine")
    assert mine.run_dir == load("base").run_dir
    assert mine.training is not None
    assert (mine.training.order, mine.training.knobs.epochs) == ("capability", 5)


def test_the_command_line_knows_backbone_and_stage(built: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = built / "recipe.yaml"
    file.write_text(recipe.dump(wanted(built, training=training(knobs={**KNOBS, "max_steps": 2}))))
    assert cli.main(["train", str(file), "--stage", "text"]) == 0
    assert plans(built) == {"training": ["done", "pending"]}
    assert cli.main(["train", str(file), "--backbone", "nothing", "--dry-run"]) == 2
    assert "There is no backbone 'nothing'" in capsys.readouterr().err


def test_rows_of_another_recipe_are_refused(built: Path) -> None:
    asked = wanted(built, training=training(), split={"val": 0.3, "test": 0.3})
    assert asked.training is not None
    with pytest.raises(
        TrainerError, match=r"are not those that this recipe makes of the run: its filters, split or seed"
    ):
        Links(asked, asked.training)
    with pytest.raises(RecipeError, match=r"made with another recipe; it differs in split.test: 0.2 -> 0.3"):
        Links(asked, asked.training, Display(Console(quiet=True)))


def test_rows_that_the_run_would_no_longer_make_are_written_anew(built: Path) -> None:
    before = links(built).links[0].taught.digest
    asked = wanted(built)
    file = asked.run_dir / "stages" / "order.json"
    file.write_text(json.dumps(json_file.mapping(file) | {"seed": 1}))  # as if it came about otherwise, unsealed
    assert make.outdated(Run(asked.run_dir), asked) == [""]
    assert links(built).links[0].taught.digest == before
    assert make.outdated(Run(asked.run_dir), asked) == []


def test_a_run_built_with_other_filters_is_refused(built: Path) -> None:
    asked = wanted(built, training=training(), rollouts={"model": "policy", "k": 4, "below": 0.9})
    assert asked.training is not None
    with pytest.raises(
        RunError, match=r"was judged by the filter difficulty as this recipe sets it, .* another recipe"
    ):
        Links(asked, asked.training, Display(Console(quiet=True)))


def test_an_order_that_the_run_has_is_held_against_the_recipe_too(built: Path) -> None:
    links(built, order="merged")
    asked = wanted(built, training=training(order="merged"), seed=5)
    assert asked.training is not None
    with pytest.raises(TrainerError, match="merged are not those that this recipe makes of the run"):
        Links(asked, asked.training)


def test_a_run_is_named_as_other_verbs_name_it(built: Path) -> None:
    asked = wanted(built)
    (asked.run_dir / "recipe.yaml").write_text(dump(asked))
    for name in ("run", str(asked.run_dir), str(asked.run_dir / "recipe.yaml")):
        assert recipe_of(name, str(built / "runs")).name == "run"
    with pytest.raises(RunError, match="nothing"):
        recipe_of("nothing", str(built / "runs"))
    with pytest.raises(RecipeError, match=r"missing.yaml"):
        recipe_of("missing.yaml")
