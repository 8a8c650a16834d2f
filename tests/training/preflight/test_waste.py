"""What a training will not use, and whose pass rates it goes by: said before it starts, and by the funnel."""

import ast
import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from capcurriculum import cli, recipe
from capcurriculum.recipe import Recipe
from capcurriculum.run import Run
from tests.support import training_data
from tests.support.preflight_data import look, seeing, write
from tests.training.test_chain import recipe as chain_recipe
from tests.training.test_chain import stand_in
from training import chain, remarks
from training.checkpoints import export
from training.preflight import origin
from training.preflight.machine import libraries
from training.preflight.rows import coverage
from training.supervise import supervisor

QWEN = "Qwen/Qwen3-VL-8B-Instruct"


@pytest.mark.parametrize(
    ("numbers", "how", "said"),
    [
        ((40, 8, 5), {"drawn": False}, ""),
        ((40, 8, 75), {"drawn": True}, ""),
        (
            (37, 8, 12),
            {"drawn": False},
            "5 of 37 rows (14 %), the last in their order, are never trained on: the trainer drops a last batch of "
            "fewer than 8",
        ),
        (
            (37, 8, 12),
            {"drawn": True},
            "up to 5 of 37 rows (14 %) are never trained on: the trainer drops a last batch of fewer than 8 in every "
            "epoch, of other rows each time",
        ),
        (
            (37, 8, 4),
            {"drawn": True},
            "5 of 37 rows (14 %), whichever the seed draws last, are never trained on: the trainer drops a last batch "
            "of fewer than 8",
        ),
        (
            (40, 8, 3),
            {"drawn": False},
            "16 of 40 rows (40 %), the last in their order, are never trained on: 3 steps of 8 rows end before the set "
            "does",
        ),
        (
            (3 * 37, 8, 13),
            {"drawn": False, "epochs": 3},
            "7 of 111 readings (each row once in 3 epochs) (6 %), the last in their order, are never trained on: the "
            "trainer drops a last batch of fewer than 8",
        ),
    ],
)
def test_what_batches_leave_out(numbers: tuple[int, int, int], how: dict[str, Any], said: str) -> None:
    assert coverage.unused(numbers, **how) == said


@pytest.mark.parametrize(
    ("rows", "selects", "said"),
    [
        (385, True, ""),
        (385, False, ""),
        (
            16,
            True,
            "an accuracy on 16 validation rows is known to 24 points up or down, so the best step is half chosen by "
            "chance: 384 rows would know it to 5 (split.val), or select: last",
        ),
        (
            166,
            False,
            "an accuracy on 166 validation rows is known to 8 points up or down; choose no checkpoint by it: 384 rows "
            "would know it to 5 (split.val)",
        ),
        (
            0,
            False,
            "an accuracy on 0 validation rows is known to 98 points up or down; choose no checkpoint by it: 384 rows "
            "would know it to 5 (split.val)",
        ),
    ],
)
def test_how_little_few_validation_rows_tell(rows: int, selects: bool, said: str) -> None:
    assert coverage.unsure(rows, selects=selects) == said


@pytest.mark.parametrize("module", ["trainer/ppo/v1/trainer_base.py", "trainer/sft_trainer.py"])
def test_the_installed_verl_drops_the_last_batch(module: str) -> None:
    spec = find_spec("verl")
    assert spec is not None
    assert spec.submodule_search_locations
    tree = ast.parse(Path(spec.submodule_search_locations[0], module).read_text(encoding="utf-8"))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]

    def told(name: str) -> dict[str | None, str]:
        """The words of the first call of that name: the one for training."""
        call = next(call for call in calls if isinstance(call.func, ast.Name) and call.func.id == name)
        return {word.arg: ast.unparse(word.value) for word in call.keywords}

    assert told("StatefulDataLoader")["drop_last"] == "True"
    if "sft" in module:
        assert told("DistributedSampler")["shuffle"] == told("DistributedSampler")["drop_last"] == "True"
    else:
        assert told("StatefulDataLoader")["sampler"].startswith("create_rl_sampler(")


def test_names_are_compared_as_far_as_they_tell(tmp_path: Path) -> None:
    snapshot = tmp_path / "models--Qwen--Qwen3-VL-8B-Instruct" / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (tmp_path / "link").symlink_to(snapshot)
    for one, other, same in (
        (QWEN, QWEN.lower(), True),
        (QWEN, "Qwen/Qwen2.5-VL-7B-Instruct", False),
        ("micro:start", "micro:start", True),
        ("micro:start", QWEN, False),
        ("policy", "policy", True),
        ("policy", QWEN, None),
        (QWEN, str(tmp_path), None),
        (QWEN, str(snapshot), True),
        (str(tmp_path / "link"), str(snapshot), True),
        ("Qwen/Qwen2.5-VL-7B-Instruct", str(snapshot), False),
        (str(tmp_path), f"{tmp_path}/", True),
        (str(tmp_path), str(snapshot.parent), None),
    ):
        assert origin.are_same(one, other) is same is origin.are_same(other, one), (one, other)


def test_the_runs_own_recipe_says_what_measured(tmp_path: Path) -> None:
    asked = told(tmp_path, "policy")
    run = Run(asked.run_dir)
    assert origin.sentence(asked, run, "micro:start") == (
        "pass rates were measured with policy, and micro:start is trained: whether these are the same weights is "
        "unknown; if not, difficulty and order are policy's"
    )
    run.path.mkdir(parents=True)
    (run.path / "recipe.yaml").write_text(recipe.dump(told(tmp_path, QWEN)))
    assert origin.sentence(asked, run, "micro:start") == (
        f"pass rates were measured with {QWEN}, and micro:start is trained: difficulty and order are {QWEN}'s"
    )
    assert origin.sentence(asked, run, QWEN) == ""
    (run.path / "recipe.yaml").write_text("name: [")
    assert origin.sentence(asked, run, QWEN).startswith("which model measured the pass rates is unknown: ")


def told(root: Path, measured: str, **changes: Any) -> Recipe:
    data = chain_recipe(root, root / "parent").model_dump(mode="json")
    data["models"]["m"]["model"] = measured
    data["training"] |= changes
    return recipe.parse(data, "test")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, light_preflight: Path) -> Path:
    """A built run whose text rows have pass rates of every kind, and a first parent."""
    for stage in ("perception", "text"):
        folder = training_data.write_stage(tmp_path / "runs" / "demo" / "stages", stage, train=20)
        if stage == "text":
            file = folder / "train-00000-of-00001.parquet"
            table = pq.read_table(file)
            rates = pa.array([0.0] * 5 + [1.0] + [None] * 2 + [0.5] * 12)
            pq.write_table(table.set_column(table.schema.get_field_index("pass_rate"), "pass_rate", rates), file)
    parent = tmp_path / "parent"
    parent.mkdir()
    (parent / "config.json").write_text("{}")
    (parent / "model.safetensors").write_bytes(training_data.weights("weights"))
    monkeypatch.setattr(export, "_verify", lambda *arguments: "A")
    return tmp_path


def test_a_dry_run_notes_them_once_and_refuses_nothing(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chain.train(told(root, QWEN), dry_run=True, console=Console())
    notes = [line for line in capsys.readouterr().out.splitlines() if line.startswith("note  ")]
    said = [line for line in notes if "pixel canary" not in line]
    assert len(notes) == len(said) + 2  # of each stage whether it will be looked at
    assert [line.partition(":")[0] for line in said] == [
        "note  text",
        "note  text",
        "note  perception",
        "note  text",
        f"note  pass rates were measured with {QWEN}, and {root / 'parent'} is trained",
    ]
    assert "5 of 20 rows (25 %) have pass rate 0 and 1 (5 %) has 1" in said[0]
    assert "2 of 20 rows (10 %) have no measured pass rate" in said[1]
    assert "4 of 20 rows (20 %), the last in their order, are never trained on" in said[2]


@pytest.mark.parametrize(("select", "severity"), [("last", "note"), ("best", "warning")])
def test_too_few_validation_rows_are_said_where_there_is_validation(
    root: Path, capsys: pytest.CaptureFixture[str], select: str, severity: str
) -> None:
    quiet = told(root, QWEN)
    asked = quiet.model_dump(mode="json")
    asked["training"] |= {"select": select}
    asked["training"]["knobs"] |= {"validate_every": 2, "save_every": 2}
    for wanted, often in ((quiet, 0), (recipe.parse(asked, "test"), 2)):
        chain.train(wanted, dry_run=True, console=Console())
        lines = [line for line in capsys.readouterr().out.splitlines() if "validation rows is known to" in line]
        assert [line.split()[0] for line in lines] == [severity] * often


def test_notes_are_kept_and_a_chain_that_goes_on_does_not_repeat_whose_rates_they_are(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def found() -> list[tuple[str, str, str]]:
        told = json.loads((root / "runs/demo/training/preflight.json").read_text())["findings"]
        return [(one["check"], one["severity"], one["stage"]) for one in told if one["severity"] == "note"]

    asked = told(root, QWEN)
    monkeypatch.setattr(supervisor, "run", stand_in())
    chain.train(asked, stage="perception", console=Console(quiet=True))
    assert ("measured_by", "note", "") in found()
    chain.train(asked, console=Console(quiet=True))
    assert found() == [
        ("no_gradient", "note", "text"),
        ("unknown_rates", "note", "text"),
        ("unused", "note", "text"),
        ("canary", "note", "text"),
    ]


@pytest.mark.usefixtures("light_preflight")
def test_rows_that_are_dropped_for_their_length_are_not_counted(tmp_path: Path) -> None:
    files = write(tmp_path, [seeing(number, pass_rate=float(number % 3 == 2)) for number in range(9)])
    whole, _ = look(tmp_path, files)
    short, made = look(tmp_path, files, 60, overlong="drop")  # rows 2, 5 and 8 have 66 tokens
    assert made.rows == 6
    counts = [[one.text for one in each.findings.all() if one.check == "no_gradient"] for each in (whole, short)]
    assert [text.partition(":")[0] for (text,) in counts] == [
        "6 of 9 rows (67 %) have pass rate 0 and 3 (33 %) have 1",
        "6 of 6 rows (100 %) have pass rate 0",
    ]


def test_pass_rates_need_no_trainer_on_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libraries, "of", lambda python: None)
    found, _ = look(tmp_path, write(tmp_path, [seeing(0, pass_rate=0.0), seeing(1)]), write=False)
    assert [one.check for one in found.findings.all()] == ["libraries", "no_gradient"]


def test_the_funnel_says_what_the_training_of_a_recipe_will_not_use(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = told(root, QWEN, knobs={"max_steps": 1})
    run = Run(asked.run_dir)
    (run.path / "recipe.yaml").write_text(recipe.dump(asked))
    assert cli.main(["funnel", str(run.path)]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[-1] == (
        "training, text: 12 of 20 rows (60 %), the last in their order, are never trained on: 1 steps of 8 rows end "
        "before the set does."
    )
    assert said[-3].startswith(f"training: pass rates were measured with {QWEN}, and ")
    variant = root / "variant.yaml"
    variant.write_text(recipe.dump(told(root, QWEN, knobs={"shuffle": True, "epochs": 3}, order="merged")))
    assert cli.main(["funnel", str(variant)]) == 0
    assert "training: rows that it leaves out are not known: " in capsys.readouterr().out
    small = told(root, QWEN, stages=[{"stage": "perception"}, {"stage": "text", "knobs": {"batch_size": 24}}])
    assert remarks.of(run, small)[-2:] == [
        "training, perception: 4 of 20 rows (20 %), the last in their order, are never trained on: the trainer drops a "
        "last batch of fewer than 8.",
        "training: rows that it leaves out are not known: Stage text has 20 training rows and a batch needs 24; lower "
        "training.knobs.batch_size (and mini_batch_size) or build more rows.",
    ]
    assert remarks.of(run, asked.model_copy(update={"training": None})) == []


def test_a_run_that_was_moved_is_counted_where_it_is(root: Path) -> None:
    asked = told(root, QWEN)
    (root / "runs/demo").rename(root / "elsewhere")
    assert len(remarks.of(Run(root / "elsewhere"), asked)) == 3


def test_captions_are_counted_by_image_and_drawn(root: Path) -> None:
    training_data.write_captions(root / "runs/demo", "perception", train=20)
    stage = {"stage": "perception", "method": "sft", "knobs": {"batch_size": 8, "epochs": 2}}
    asked = told(root, "policy", stages=[stage])
    assert remarks.of(Run(asked.run_dir), asked)[1].startswith("training, perception: up to 2 of 10 rows (20 %)")
