"""`capcurriculum init`: what it says of data of one's own, and the recipe that it writes."""

import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from capcurriculum import cli, recipe
from capcurriculum.recipe import yaml_file
from curricula.first_recipe import ask
from tests.support import source_data as data
from tests.support.endpoint import Endpoint, serving

Run = Callable[..., tuple[int, str]]
PROBLEMS = [{"problem": f"What is {n} + 1?", "answer": str(n + 1)} for n in range(5)]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """The program in a folder of its own: exit code, and all that it printed with white space made one blank."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))

    def called(*words: str) -> tuple[int, str]:
        code = cli.main([*words])
        printed = capsys.readouterr()
        return code, " ".join((printed.out + printed.err).split())

    return called


@pytest.fixture
def server() -> Iterator[Endpoint]:
    with serving(Endpoint(models=("big", "small"))) as found:
        yield found


def lines(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def photos(folder: Path, count: int = 4, *, captioned: bool = True) -> None:
    folder.mkdir(parents=True)
    for number in range(count):
        (folder / f"{number}.JPG").write_bytes(data.picture(number, kind="JPEG"))
        if captioned:
            (folder / f"{number}.txt").write_text(f"right {number} lies on the table", encoding="utf-8")


def parquet(folder: Path) -> None:
    rows = [{"image": {"bytes": data.picture(n), "path": None}, "caption": f"A cup {n}"} for n in range(4)]
    data.parquet(folder / "rows.parquet", rows)


def imagefolder(folder: Path) -> None:
    lines(folder / "metadata.jsonl", [{"file_name": f"{n}.png", "text": f"A cup {n}"} for n in range(4)])
    for number in range(4):
        (folder / f"{number}.png").write_bytes(data.picture(number))


def mcq(folder: Path) -> None:
    folder.mkdir()
    rows = "".join(f"What is {n}+{n}?,{2 * n},{2 * n + 1},{2 * n + 2},A\n" for n in range(4))
    (folder / "mcq.csv").write_text(f"question,A,B,C,answer\n{rows}", encoding="utf-8")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (photos, "a .txt beside each, for the perception stage rows 4; 4 of them can be used images 4 of 4 open"),
        (parquet, "columns image=image, caption=caption captions 7 to 7 characters, median 7"),
        (imagefolder, "an imagefolder, for the perception stage"),
        (lambda folder: lines(folder / "p.jsonl", PROBLEMS), "columns problem=problem, answer=answer"),
        (lambda folder: data.write_json(folder / "p.json", PROBLEMS), "answers 5 number"),
        (mcq, "columns problem=question, options=A,B,C, answer=answer"),
    ],
    ids=["images with texts", "parquet", "imagefolder", "json lines", "json", "csv of choices"],
)  # fmt: skip
def test_what_it_writes_passes_a_dry_run(run: Run, make: Callable[[Path], None], said: str) -> None:
    make(Path("own"))
    code, told = run("init", "own", "--micro")
    assert code == 0, told
    assert said in told
    assert "capcurriculum build own.yaml --dry-run" in told
    assert run("build", "own.yaml", "--dry-run")[0] == 0


def test_models_of_an_endpoint_are_named_and_asked(run: Run, server: Endpoint) -> None:
    server.image_right = 0.0
    photos(Path("own"), 6)
    code, told = run("init", "own", "--endpoint", server.url, "--teacher", "big", "--solver", "small")
    assert code == 0, told
    found = recipe.load(Path("own.yaml"))
    assert [found.models[name].model for name in ("teacher", "solver")] == ["big", "small"]
    text = Path("own.yaml").read_text(encoding="utf-8").replace("above: 0", "# above").replace("below: 1", "# below")
    Path("own.yaml").write_text(text, encoding="utf-8")  # six rows of a solver that is always wrong
    assert "allow" not in told.split("Next:")[1]
    code, told = run("build", "own.yaml")
    assert code == 0, told
    assert Path("runs/own/stages/perception").is_dir()


def test_the_only_model_of_an_endpoint_is_every_model(run: Run) -> None:
    photos(Path("own"))
    with serving() as server:
        code, told = run("init", "own", "--endpoint", f"{server.url}/")
    assert code == 0
    assert "serves m alone" in told
    assert {model.model for model in recipe.load(Path("own.yaml")).models.values()} == {"m"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "--endpoint URL .* or --micro"),
        (["--endpoint", "URL"], "serves big, small; name the one that writes .* --teacher"),
        (["--endpoint", "URL", "--teacher", "big"], "name the one that answers .* --solver"),
        (["--endpoint", "URL", "--teacher", "bigg", "--solver", "small"], r"did you mean big\?"),
        (["--endpoint", "URL", "--micro"], "not both"),
        (["--endpoint", "http://u:secret@x/v1"], "no user name or password"),
        (["--endpoint", "file:///etc"], "an address is http or https"),
        (["--endpoint", "http://127.0.0.1:9/v1"], "does not list its models"),
        (["--endpoint", "URL", "--api-key-env", "sk-123"], "name the environment variable"),
        (["--endpoint", "URL", "--api-key-env", "HF_TOKEN"], "goes to the Hub alone"),
        (["--teacher", "big", "--micro"], "big is no micro model"),
        (["--column", "title=x", "--micro"], "one of the keys"),
        (["--recipe", "own.txt", "--micro"], "ends in .yaml"),
    ],
)
def test_a_mistake_is_one_sentence_and_nothing_is_written(
    run: Run, server: Endpoint, words: list[str], said: str
) -> None:
    photos(Path("own"))
    code, told = run("init", "own", *(word.replace("URL", server.url) for word in words))
    assert code == 2
    assert re.search(said, told), told
    assert "secret" not in told
    assert not list(Path().glob("*.yaml"))


def test_models_are_taken_at_the_users_word_where_the_endpoint_is_down(run: Run) -> None:
    photos(Path("own"))
    code, told = run("init", "own", "--endpoint", "http://127.0.0.1:9/v1", "--teacher", "a", "--solver", "b")
    assert code == 0
    assert "The names are taken as you gave them." in told


def test_a_key_is_sent_and_never_written(run: Run, server: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    photos(Path("own"))
    monkeypatch.setenv("MY_KEY", "very-secret")
    words = ["--endpoint", server.url, "--teacher", "big", "--solver", "small", "--api-key-env", "MY_KEY"]
    code, told = run("init", "own", *words)
    assert code == 0
    text = Path("own.yaml").read_text(encoding="utf-8")
    assert "very-secret" not in told + text
    assert "api_key_env: MY_KEY" in text
    assert told.index("capcurriculum allow own.yaml") < told.index("capcurriculum build own.yaml")


def test_on_a_terminal_it_asks(run: Run, server: Endpoint, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    photos(Path("own"))
    answers = iter([f"{server.url}\n", "7\n", "1\n", "small\n"])
    monkeypatch.setattr(ask, "possible", lambda: True)
    monkeypatch.setattr("sys.stdin.readline", lambda: next(answers))
    assert run("init", "own")[0] == 0
    found = recipe.load(Path("own.yaml"))
    assert (found.models["teacher"].model, found.models["solver"].model) == ("big", "small")


def test_images_without_captions_are_told_what_to_write(run: Run) -> None:
    photos(Path("own"), captioned=False)
    code, told = run("init", "own", "--micro")
    assert code == 2
    assert "4 images and no captions" in told
    assert "0.txt beside 0.JPG" in told


def test_captions_beside_images_count_beside_problems_and_images_without_are_told(run: Run) -> None:
    photos(Path("own"))
    photos(Path("bare"), captioned=False)
    for folder in ("own", "bare"):
        lines(Path(folder) / "problems.jsonl", PROBLEMS)
    assert run("init", "own", "--micro")[0] == 0
    assert list(recipe.load(Path("own.yaml")).stages) == ["perception", "text"]
    code, told = run("init", "bare", "--micro")
    assert code == 0
    assert "4 images are not used: nothing says what they show." in told


def test_images_beside_rows_of_unknown_columns_are_told_how_to_say_them(run: Run) -> None:
    photos(Path("own"), captioned=False)
    lines(Path("own") / "rows.jsonl", [{"bild": f"{n}.JPG", "was": f"A cup {n}"} for n in range(4)])
    code, told = run("init", "own", "--micro")
    assert code == 2
    assert "rows.jsonl is not taken: it has the columns bild, was. If one of these columns describes the images" in told
    code, told = run("init", "own", "--micro", "--column", "caption=was", "--column", "image=bild")
    assert code == 0, told
    assert "4 of them can be used" in told


def test_what_cannot_be_used_is_counted_with_its_reason(run: Run) -> None:
    photos(Path("own"), 5)
    (Path("own") / "1.JPG").write_bytes(b"\xff\xd8\xff\xe0 broken")
    (Path("own") / "2.txt").unlink()
    code, told = run("init", "own", "--micro")
    assert code == 0
    assert "rows 5; 3 of them can be used lost missing_field 1 (there is no 2.txt beside 2.JPG)" in told
    assert "images 3 of 4 open; the others: unreadable_image 1" in told


def test_columns_of_other_names_are_said(run: Run) -> None:
    lines(Path("de.jsonl"), [{"Frage": "1+1?", "Loesung #": "2"}])
    code, told = run("init", "de.jsonl", "--micro")
    assert code == 2
    assert "has the columns Frage, Loesung #" in told
    assert "--column problem=" in told
    assert run("init", "de.jsonl", "--micro", "--column", "problem=Frage", "--column", "answer=Loesung #")[0] == 0
    assert run("build", "de.yaml", "--dry-run")[0] == 0


def test_keys_that_leave_it_open_are_said(run: Run) -> None:
    rows = [{"question": f"Which {n}?", "choices": list("wxyz"), "answer": 1 + n % 2} for n in range(4)]
    lines(Path("mcq.jsonl"), rows)
    code, told = run("init", "mcq.jsonl", "--micro")
    assert code == 2
    assert "To `init` say it as --answers." in told
    code, told = run("init", "mcq.jsonl", "--micro", "--answers", "one_based")
    assert code == 0
    assert "keys one_based" in told


def test_a_recipe_that_is_there_stays(run: Run) -> None:
    photos(Path("own"))
    Path("own.yaml").write_text("# mine\n", encoding="utf-8")
    code, told = run("init", "own", "--micro")
    assert code == 2
    assert "--overwrite" in told
    assert Path("own.yaml").read_text(encoding="utf-8") == "# mine\n"
    assert run("init", "own", "--micro", "--overwrite")[0] == 0
    assert run("build", "own.yaml", "--dry-run")[0] == 0


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_stage_is_added_and_all_else_stays(run: Run, newline: str) -> None:
    photos(Path("own"))
    lines(Path("problems.jsonl"), PROBLEMS)
    assert run("init", "own", "--micro")[0] == 0
    mine = Path("own.yaml").read_text(encoding="utf-8").replace("rollouts:", "# my own words\nrollouts:", 1)
    Path("own.yaml").write_bytes(mine.replace("\n", newline).encode())
    code, told = run("init", "--stage", "text", "problems.jsonl")
    assert code == 0, told
    assert "Added the stage text to own.yaml" in told
    text = Path("own.yaml").read_bytes().decode()
    before, _, after = text.partition(f"text:  # problems without images{newline}")
    assert (before + after.partition("# my own words")[2]).replace("\r", "") == mine.replace("# my own words", "", 1)
    assert ("\r\n" in text) == (newline == "\r\n")
    assert list(recipe.load(Path("own.yaml")).stages) == ["perception", "text"]
    code, told = run("init", "--stage", "text", "problems.jsonl")
    assert code == 2
    assert "has a text stage" in told


def test_a_captioned_stage_is_added_with_models_of_the_recipe(run: Run) -> None:
    lines(Path("problems.jsonl"), PROBLEMS)
    photos(Path("own"))
    assert run("init", "problems.jsonl", "--micro")[0] == 0
    code, told = run("init", "own", "--stage", "perception", "--recipe", "problems.yaml")
    assert code == 2
    assert "no model called teacher, but solver" in told
    assert run("init", "own", "--stage", "perception", "--recipe", "problems.yaml", "--teacher", "solver")[0] == 0
    found = recipe.load(Path("problems.yaml"))
    assert found.perception is not None
    assert found.perception.probe.solvers == ("solver",)


def test_a_recipe_of_one_line_is_not_extended_as_text(run: Run) -> None:
    lines(Path("problems.jsonl"), PROBLEMS)
    photos(Path("own"))
    assert run("init", "own", "--micro")[0] == 0
    flow = json.dumps(yaml_file.read(Path("own.yaml")))
    Path("own.yaml").write_text(flow, encoding="utf-8")
    code, told = run("init", "--stage", "text", "problems.jsonl")
    assert code == 2
    assert "takes no further lines" in told
    assert Path("own.yaml").read_text(encoding="utf-8") == flow


def test_which_recipe_gets_the_stage_must_be_plain(run: Run) -> None:
    lines(Path("problems.jsonl"), PROBLEMS)
    for name in ("one", "two"):
        photos(Path(name))
        assert run("init", name, "--micro")[0] == 0
    code, told = run("init", "--stage", "text", "problems.jsonl")
    assert code == 2
    assert "several recipes: one.yaml, two.yaml" in told


def test_a_stage_that_the_data_cannot_feed_is_refused(run: Run) -> None:
    lines(Path("problems.jsonl"), PROBLEMS)
    code, told = run("init", "--stage", "visual", "problems.jsonl", "--micro")
    assert code == 2
    assert "no rows for the visual stage but for text" in told


def test_a_built_run_gets_a_further_stage_by_a_fork(run: Run) -> None:
    lines(Path("problems.jsonl"), PROBLEMS)
    with serving() as server:
        assert run("init", "problems.jsonl", "--endpoint", server.url)[0] == 0
        run("build", "problems.yaml")
        asked = len(server.requests)
        photos(Path("own"))
        words = ["--stage", "perception", "--teacher", "solver", "--recipe", "problems.yaml"]
        code, told = run("init", "own", *words)
        assert code == 0, told
        assert "capcurriculum build problems.yaml --fork problems_2" in told
        run("build", "problems.yaml", "--fork", "problems_2")
        sent = [str(body["messages"]) for body in server.requests[asked:]]
    assert sent
    assert not any(problem["problem"] in one for problem in PROBLEMS for one in sent)


def test_a_built_run_keeps_its_recipe(run: Run) -> None:
    lines(Path("problems.jsonl"), PROBLEMS)
    with serving() as server:
        assert run("init", "problems.jsonl", "--endpoint", server.url)[0] == 0
        run("build", "problems.yaml")
    os.remove("problems.yaml")
    code, told = run("init", "problems.jsonl", "--micro")
    assert code == 2
    assert "--recipe problems_2.yaml" in told


def test_a_data_set_in_the_hubs_cache_is_found_by_its_id(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    snapshot = tmp_path / "hub" / "datasets--me--cups" / "snapshots" / commit
    (snapshot.parents[1] / "refs").mkdir(parents=True)
    (snapshot.parents[1] / "refs" / "main").write_text(commit, encoding="utf-8")
    parquet(snapshot)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    code, told = run("init", "me/absent", "--micro")
    assert code == 2
    assert "hf download --repo-type dataset me/absent" in told
    assert run("init", "me/cups", "--micro")[0] == 0
    found = recipe.load(Path("cups.yaml")).perception
    assert found is not None
    assert found.source is not None
    assert (found.source.revision, found.source.name) == (commit, "me/cups")
    assert run("build", "cups.yaml", "--dry-run")[0] == 0


def test_names_of_strangers_are_written_as_they_are(run: Run) -> None:
    name = "answer: \n# {x}\u202e"
    lines(Path("own: #1") / "'q'.jsonl", [{"problem": "1+1?", name: "2"}])
    code, told = run("init", "own: #1", "--micro", "--column", f"answer={name}")
    assert code == 0, told
    assert "\u202e" not in told
    found = recipe.load(Path("own_1.yaml")).text
    assert found is not None
    assert found.source is not None
    assert found.source.columns is not None
    assert (found.source.path, found.source.columns.answer) == ("own: #1", name)
