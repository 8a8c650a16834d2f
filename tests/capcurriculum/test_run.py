"""Tables, the run directory and what is asked of it."""

import subprocess
import sys
from pathlib import Path

import pytest

from capcurriculum import recipe, run
from capcurriculum.errors import RecipeError, RunError
from capcurriculum.ledger import funnel, query
from capcurriculum.render import terminal
from capcurriculum.rows import CaptionedImage, Message, Question, Request, Sampling, Verdict, digest
from capcurriculum.tables import Table
from tests.support import forks, worlds


def verdict(number: int, *, keep: bool = True, filter_name: str = "source", stage: str = "perception") -> Verdict:
    reason = "kept" if keep else "empty_caption"
    return Verdict(f"id{number}", stage, filter_name, keep, reason, "", ("a", "b"))


def test_a_table_gives_back_what_was_appended_over_all_shards(tmp_path: Path) -> None:
    table = Table(tmp_path / "verdicts", Verdict)
    assert table.frame().height == 0
    assert table.append([]) == 0
    assert table.append([verdict(1)]) == 1
    table.append([verdict(2), verdict(3, keep=False)])
    assert list(table.rows()) == [verdict(1), verdict(2), verdict(3, keep=False)]
    assert table.keys("question_id") == {"id1", "id2", "id3"}
    assert len(table.shards()) == 2


def test_a_half_written_shard_is_no_part_of_a_table_and_is_swept_away(tmp_path: Path) -> None:
    wanted = worlds.recipe_over(tmp_path, "http://127.0.0.1:1/v1")
    with run.writing(wanted) as writing:
        writing.verdicts.append([verdict(1)])
        torn = writing.verdicts.folder / ".tmp-1-part-000001.parquet"
        torn.write_bytes(writing.verdicts.shards()[0].read_bytes()[:50])
        half_a_stage = writing.stages / ".tmp-text"
        half_a_stage.mkdir(parents=True)
        assert list(writing.verdicts.rows()) == [verdict(1)]
    with run.writing(wanted) as writing:
        assert not torn.exists()
        assert not half_a_stage.exists()


def test_a_damaged_shard_is_named(tmp_path: Path) -> None:
    table = Table(tmp_path / "verdicts", Verdict)
    table.append([verdict(1)])
    table.shards()[0].write_bytes(b"PAR1 not really")
    with pytest.raises(RunError, match=r"verdicts/part-000000.parquet is damaged"):
        table.frame()


def test_only_one_process_writes_a_run(tmp_path: Path) -> None:
    wanted = worlds.recipe_over(tmp_path, "http://127.0.0.1:1/v1")
    file = tmp_path / "recipe.yaml"
    file.write_text(recipe.dump(wanted))
    with run.writing(wanted):
        second = forks.command("build", str(file))
    assert second.returncode == 2
    assert "Another process is writing" in second.stderr
    assert "Traceback" not in second.stderr


def test_what_is_no_run_is_said(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"There is no run at .*nothing: it has no recipe.yaml"):
        run.named(str(tmp_path / "nothing"))


def filled(tmp_path: Path) -> run.Run:
    wanted = worlds.recipe_over(tmp_path, "http://127.0.0.1:1/v1")
    with run.writing(wanted) as writing:
        writing.verdicts.append([verdict(1), verdict(2), verdict(3, keep=False)])
        writing.verdicts.append(
            [verdict(1, filter_name="perception"), verdict(2, keep=False, filter_name="perception")]
        )
        writing.verdicts.append([verdict(9, stage="text")])
    return writing


def test_the_funnel_counts_the_ledger_in_the_order_of_the_road(tmp_path: Path) -> None:
    lines = funnel.lines(filled(tmp_path))
    assert [(x.stage, x.filter, x.met, x.kept, x.dropped) for x in lines] == [
        ("perception", "source", 3, 2, {"empty_caption": 1}),
        ("perception", "perception", 2, 1, {"empty_caption": 1}),
        ("text", "source", 1, 1, {}),
    ]


def test_a_query_reads_the_tables_and_a_bad_one_is_one_sentence(tmp_path: Path) -> None:
    full = filled(tmp_path)
    assert query.query(full, "select count(*) as n from verdicts") == (["n"], [(6,)])
    assert query.query(full, "select * from captions")[1] == []
    with pytest.raises(RunError, match=r"cannot be answered: .*the tables are captions"):
        query.query(full, "select * from nowhere")


def test_an_id_is_found_by_its_beginning_and_an_ambiguous_one_is_refused(tmp_path: Path) -> None:
    full = filled(tmp_path)
    assert query.find(full, "id9") == "id9"
    full.verdicts.append([verdict(number, stage="text") for number in (90, 91)])
    assert query.find(full, "id9") == "id9"  # a whole id, though others begin with it
    with pytest.raises(RunError, match="beginning of several ids"):
        query.find(full, "id")
    with pytest.raises(RunError, match="names no row"):
        query.find(full, "zz")


def test_terminal_escapes_are_shown_and_not_obeyed() -> None:
    assert terminal.visible("\x1b[2J\u202eevil") == "\\x1b[2J\\u202eevil"


def test_request_keys_change_with_what_can_change_the_reply_and_with_nothing_else() -> None:
    turns = (Message("user", "hello", images=1),)
    base = Request.make("m", turns, Sampling(), images=(("id", "/one/place.png"),))
    assert base.key == Request.make("m", turns, Sampling(), images=(("id", "/another/place.png"),)).key
    others = [
        Request.make("n", turns, Sampling(), images=(("id", "p"),)),
        Request.make("m", (Message("user", "hello"),), Sampling(), images=(("id", "p"),)),
        Request.make("m", turns, Sampling(temperature=1.0), images=(("id", "p"),)),
        Request.make("m", turns, Sampling(), images=(("other", "p"),)),
        Request.make("m", turns, Sampling(), images=(("id", "p"),), rollout=1),
        Request.make("m", turns, Sampling(), images=(("id", "p"),), schema="{}"),
    ]
    assert len({base.key, *(other.key for other in others)}) == 7


def test_keys_agree_between_processes() -> None:
    code = "from capcurriculum.rows import digest; print(digest('a', 1, ['é']))"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert printed == digest("a", 1, ["é"]) == "cf162c4d1ec810a3"


def test_ids_name_content() -> None:
    assert CaptionedImage.key("i", "a b") != CaptionedImage.key("ia", " b")
    assert Question.key("text", "", "p", "1") != Question.key("visual", "", "p", "1")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"nmae": "x"}, "nmae: there is no such key (did you mean name?)"),
        ({"name": "../escape"}, "name: must be at most 64 letters, digits"),
        ({"models": {}}, "perception.teacher.model names 'teacher', and models has no such entry; it is empty"),
        ({"split": {"val": 0.6, "test": 0.5}}, "split: val + test is 1.1; it must be below 1"),
        ({"rollouts": {"model": "policy", "k": 0}}, "rollouts.k: must be above 0, not 0"),
        ({"text": {"source": {"kind": "problems"}}}, "needs a path"),
    ],
)
def test_a_wrong_recipe_is_one_sentence_that_names_the_key(
    tmp_path: Path, change: dict[str, object], sentence: str
) -> None:
    with pytest.raises(RecipeError) as caught:
        worlds.recipe_over(tmp_path, "http://127.0.0.1:1/v1", **change)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["a: [1", "- list", "!!python/object/apply:os.system ['true']", "\x00"])
def test_a_file_that_is_no_recipe_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "r.yaml"
    file.write_text(text)
    with pytest.raises(RecipeError):
        recipe.load(file)


def test_every_shipped_recipe_loads_and_survives_its_own_dump() -> None:
    shipped = sorted(Path("curricula/recipes").glob("*.yaml"))
    assert shipped
    for file in shipped:
        loaded = recipe.load(file)
        import yaml

        assert recipe.differences(loaded, recipe.parse(yaml.safe_load(recipe.dump(loaded)), "dump")) == []
