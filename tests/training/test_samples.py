"""Replies before and after a stage: of the stage's own rows, the same in both, drawn by nothing but their ids."""

from pathlib import Path

import pytest

from capcurriculum import cli
from capcurriculum.errors import RunError
from capcurriculum.rows import digest
from tests.support import validations
from training import samples
from training.plan import State

DONE, RUNNING, PENDING = State.DONE, State.RUNNING, State.PENDING
TEXT = {f"t{n}": f"What is {n} + 1?" for n in range(20)}
VISUAL = {f"v{n}": f"How many stars in {n}?" for n in range(4)}


def asked(text: str, *keys: str) -> list[tuple[str, str]]:
    return [(key, f"{text} {key}") for key in keys or (*TEXT, *VISUAL)]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Two stages, both validated on the rows of both; the second has no validation before its first step."""
    (tmp_path / "recipe.yaml").touch()
    validations.rows(tmp_path, "text", TEXT, picture=None)
    validations.rows(tmp_path, "visual", VISUAL)
    folder = tmp_path / "training"
    validations.planned(folder, ("text", DONE, 3), ("visual", RUNNING, 0), ("perception", PENDING, 0))
    for stage, step in (("text", 0), ("text", 3), ("text", 4), ("visual", 1), ("visual", 10)):
        validations.said(folder, stage, step, asked(f"{stage} {step}"))
    return tmp_path


def stages(run: Path, rows: int = samples.ROWS) -> dict[str, samples.StageSamples]:
    return {one.stage: one for one in samples.of_training(run, run / "training", rows)}


def test_a_stage_begins_where_the_one_before_ended(run: Path) -> None:
    found = stages(run)
    assert list(found) == ["text", "visual"]
    text, visual = found.values()
    assert (text.begin, text.end) == ("step 0", "step 3")  # what went on, not what came last
    assert (visual.begin, visual.end) == ("step 3 of text", "step 10")
    one = visual.samples[0]
    assert one.before.text == f"text 3 {one.question_id}"
    assert one.after.text == f"visual 10 {one.question_id}"
    assert (one.problem, one.gold, one.after.outcome, one.after.score) == (VISUAL[one.question_id], "A", "right", 1.0)
    assert set(samples.pictures(run, ["t1", "v1"])) == {"v1"}


def test_rows_are_the_stages_own_and_drawn_by_their_ids_alone(run: Path) -> None:
    found = stages(run)
    expected = sorted(TEXT, key=lambda key: digest("sample", key))[:6]
    assert [one.question_id for one in found["text"].samples] == expected
    assert (found["text"].paired, found["visual"].paired) == (20, 4)
    assert {one.question_id for one in found["visual"].samples} == set(VISUAL)
    validations.said(run / "training", "text", 3, asked("other")[::-1], outcome="wrong")
    assert [one.question_id for one in stages(run)["text"].samples] == expected


def test_a_set_that_mixes_stages_has_the_rows_of_all(run: Path) -> None:
    folder = run / "training"
    validations.planned(folder, ("merged", DONE, 1))
    validations.said(folder, "merged", 0, asked("a"))
    validations.said(folder, "merged", 1, asked("b"))
    assert stages(run)["merged"].paired == 24


def test_only_rows_answered_both_times_pair_and_of_several_replies_the_first_counts(run: Path) -> None:
    folder = run / "training"
    validations.said(folder, "text", 0, [("t1", "first"), ("t1", "second"), ("t2", "only before"), ("", "nobody's")])
    validations.said(folder, "text", 3, [("t1", "after"), ("t3", "only after"), ("", "nobody's"), ("x", "unknown row")])
    (one,) = stages(run)["text"].samples
    assert (one.question_id, one.before.text, one.after.text) == ("t1", "first", "after")
    validations.said(folder, "text", 3, [("t3", "only after")])
    assert stages(run)["text"].missing == "No validation row of its own was answered both before and after."


@pytest.mark.parametrize("content", ['{"question_id": "t1", "outp', "[1]\n", "{}\n", "[" * 100_000, '"\udcff"'])
def test_a_damaged_validation_is_not_there(run: Path, content: str) -> None:
    path = run / "training" / "text" / "validation" / "3.jsonl"
    path.write_bytes(content.encode("utf-8", "surrogateescape"))
    found = stages(run)
    assert found["text"].samples == ()
    assert "text/validation/3.jsonl is damaged" in found["text"].missing
    assert "text/validation/3.jsonl is damaged" in found["visual"].missing  # it began there


def test_what_is_missing_is_said(run: Path) -> None:
    validated = run / "training" / "text" / "validation"
    (validated / "3.jsonl").unlink()
    assert "text has no validation of step 3" in stages(run)["visual"].missing
    (validated / "0.jsonl").unlink()
    assert "it was not validated before its first step" in stages(run)["text"].missing
    for path in (run / "training" / "visual" / "validation").iterdir():
        path.unlink()
    validations.said(run / "training", "visual", 0, asked("x"))
    assert "visual has no validation after its beginning" in stages(run)["visual"].missing
    for path in run.glob("stages/*/*.parquet"):
        path.unlink()
    assert "no stage files with validation rows" in stages(run)["text"].missing
    (run / "stages" / "text" / "val-0.parquet").write_text("no parquet")
    with pytest.raises(RunError, match=r"val-0.parquet is damaged .* remove it"):
        stages(run)


def test_odd_values_are_unknown_and_half_characters_can_be_written(run: Path) -> None:
    path = validations.said(run / "training", "text", 0, [("t1", "\ud800")], outcome="splendid")
    path.write_text(path.read_text().replace("1.0", '"many"'))
    (one,) = stages(run)["text"].samples
    assert (one.before.text, one.before.outcome, one.before.score) == ("?", "unknown", None)


def test_the_verb_prints_them_with_nothing_that_a_terminal_obeys(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    validations.said(run / "training", "text", 0, [("t1", "\x1b[2Jclear [bold]this[/bold]\u202e")], outcome="wrong")
    assert cli.main(["curves", str(run)]) == 0
    assert "before" not in capsys.readouterr().out
    assert cli.main(["curves", str(run), "--samples"]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "training, text: 1 of 1 validation rows, drawn by hash" in printed
    assert "before (step 0)" in printed
    assert r"\x1b" in printed
    assert r"\u202e" in printed
    assert "[bold]" in printed
    assert "\x1b" not in printed
    assert printed.endswith("curves.png")
