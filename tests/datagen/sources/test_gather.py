"""Several sources of a stage in one run, from recipe to stage files; what the run records of them; recipe errors."""

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from capcurriculum import cli, recipe
from capcurriculum.errors import RecipeError, SourceError
from capcurriculum.recipe import Recipe
from capcurriculum.render.progress import Display
from capcurriculum.run import writing
from curricula.build import build
from datagen.image_decoding import ImageProblem
from datagen.sources import gather
from datagen.sources.formats import archives
from tests.support import endpoint, worlds
from tests.support import source_data as data


def several(folder: Path, url: str, **changes: Any) -> Recipe:
    """Two perception sources (a plain folder, an archive), two text sources, and the visual mix."""
    small = worlds.recipe_over(folder, url).model_dump()
    columns = {"image": "file", "caption": "says"}
    more = {"kind": "captions", "path": str(folder / "more"), "images": "pictures.zip", "columns": columns}
    more |= {"source": "more", "license": "cc0-1.0", "files": ["*.jsonl"]}
    perception = small["perception"] | {"source": None}
    perception["sources"] = [{"kind": "docci", "path": str(folder / "docci")}, more]
    text = [{"kind": "problems", "path": str(folder / "text"), "source": "sums", "license": "mit"}]
    text.append({"kind": "orz", "path": str(folder / "orz")})
    visual = {"source": {"kind": "vlaa", "path": str(folder / "vlaa"), "revision": "fe9548a"}}
    return recipe.parse(
        small | {"perception": perception, "text": {"sources": text}, "visual": visual} | changes, "test"
    )


class Knowing(endpoint.Endpoint):
    """An endpoint that also answers choices and problems it did not write itself, rightly or not."""

    def _choice(self, text: str, options: dict[str, str], has_image: bool) -> str:
        known = any(option.startswith("right") for option in options.values())
        return super()._choice(text, options, has_image) if known else r"\boxed{A}"

    def _sum(self, text: str) -> str:
        return r"\boxed{A}" if "Choose from the following options" in text else super()._sum(text)


@pytest.fixture
def world(tmp_path: Path) -> Path:
    worlds.docci(tmp_path / "docci")
    rows = [{"file": f"{n}.png", "says": f"Another picture, number {n}."} for n in range(12)]
    data.write_lines(tmp_path / "more/rows.jsonl", rows)
    data.zipped(tmp_path / "more/pictures.zip", {f"{n}.png": data.picture(n + 50, side=48) for n in range(12)})
    worlds.problems(tmp_path / "text")
    data.orz(tmp_path / "orz/orz_math_13k_collection_hard.json", ("What is 20 + 1?", "21"), ("What is 30 + 1?", "31"))
    data.vlaa(tmp_path / "vlaa")
    return tmp_path


@pytest.mark.slow
def test_several_sources_reach_the_stage_files_with_their_images_and_licences(world: Path) -> None:
    with endpoint.serving(Knowing(image_right=0.3)) as server:
        run = build(several(world, server.url), Display())
        wanted = several(world, server.url)
    rows = [row for path in run.stages.glob("*/*.parquet") for row in pq.read_table(path).to_pylist()]
    by_license = {(row["stage"], row["source"], row["license"]) for row in rows}
    assert {("perception", "DOCCI", "cc-by-4.0"), ("perception", "more", "cc0-1.0")} <= by_license
    assert ("text", "ORZ-Math-13k", "mit") in by_license
    assert ("visual", "VLAA-Thinking-GRPO-25K/synthesis", "gpl-3.0") in by_license
    assert ("visual", "VLAA-Thinking-GRPO-25K/arxivqa", "cc-by-sa-4.0") in by_license
    assert all(row["images"][0]["bytes"] for row in rows if row["stage"] != "text")
    where = gather.folders(run, wanted)
    assert all((where["perception"] / c.image_path).is_file() for c in run.captions.rows())
    assert {c.image_path.split("/")[0] for c in run.captions.rows()} == {"places", "images"}


def test_the_run_records_upstream_pin_licence_and_rows_of_every_source_and_not_where_it_lay(world: Path) -> None:
    wanted = several(world, "http://127.0.0.1:9/v1")
    run = gathered(wanted)
    text = (run.path / "sources.json").read_text()
    found = json.loads(text)
    assert str(world) not in text
    assert [(s["stage"], s["kind"], s["upstream"], s["license"]) for s in found["sources"]] == [
        ("perception", "docci", "google/docci", "cc-by-4.0"),
        ("perception", "captions", "", "cc0-1.0"),
        ("text", "problems", "", "mit"),
        ("text", "orz", "https://github.com/Open-Reasoner-Zero/Open-Reasoner-Zero", "mit"),
        ("visual", "vlaa", "UCSC-VLAA/VLAA-Thinking", "of each part"),
    ]
    assert found["sources"][4]["revision"] == "fe9548a"
    counts = {(r["stage"], r["source"]): r["rows"] for r in found["rows"]}
    assert counts["perception", "DOCCI"] == counts["perception", "more"] == 12
    assert counts["text", "sums"] == 8
    assert counts["text", "ORZ-Math-13k"] == 2
    assert {row["license"] for row in found["rows"]} >= {"gpl-3.0", "cc-by-sa-4.0"}


def gathered(wanted: Recipe) -> Any:
    from capcurriculum.run import writing

    with writing(wanted) as run:
        gather.gather(gather.setting(run, wanted))
    return run


def test_gathering_again_changes_nothing_and_moved_data_is_found(world: Path) -> None:
    wanted = several(world, "http://127.0.0.1:9/v1")
    run = gathered(wanted)
    before = {path: path.read_bytes() for path in run.path.rglob("*.parquet")}
    (world / "docci").rename(world / "moved")
    sources = [s.model_dump() for s in wanted.perception.all_sources]  # type: ignore[union-attr]
    sources[0]["path"] = str(world / "moved")
    moved = recipe.parse(
        wanted.model_dump() | {"perception": wanted.perception.model_dump() | {"sources": sources}}, "moved"  # type: ignore[union-attr]
    )  # fmt: skip
    gathered(moved)
    assert {path: path.read_bytes() for path in run.path.rglob("*.parquet")} == before
    assert all((gather.folders(run, moved)["perception"] / c.image_path).is_file() for c in run.captions.rows())


def test_a_run_made_from_other_sources_is_refused_by_name(world: Path) -> None:
    wanted = several(world, "http://127.0.0.1:9/v1")
    worlds.begin(gathered(wanted))
    changed = [s.model_dump() for s in wanted.text.all_sources]  # type: ignore[union-attr]
    changed[1]["limit"] = 1
    with pytest.raises(RecipeError, match=r"differs in text\.sources\.1\.limit: None -> 1"):
        gathered(recipe.parse(wanted.model_dump() | {"text": {"sources": changed}}, "changed"))


def test_limit_takes_the_first_usable_rows(world: Path) -> None:
    rows = data.read(
        data.section("vlaa", world / "vlaa", parts={"geoqa170k": None, "synthesis": None}, limit=1), world / "r"
    )
    assert [q.skill for q in data.questions(rows)] == ["geoqa170k"]


def test_a_stage_without_a_usable_row_names_its_sources(world: Path) -> None:
    data.orz(world / "orz/orz_math_13k_collection_hard.json", ("Bad?", "}"))
    wanted = several(world, "http://127.0.0.1:9/v1", text={"source": {"kind": "orz", "path": str(world / "orz")}})
    with pytest.raises(SourceError, match=r"The text source .*orz lost all of its 1 rows: ungradable_answer 1"):
        gathered(wanted)


COMMIT = "85a6dca0e2bdc6f0268ae519be8913f83a83cafd"


@pytest.mark.parametrize(
    ("stage", "source", "sentence"),
    [
        (
            "text",
            {"kind": "docci", "path": "x"},
            "text: a docci source does not feed such a stage; those that do are orz, ",
        ),
        ("text", {"kind": "orz"}, "needs a path or a repo, and not both"),
        (
            "text",
            {"kind": "orz", "path": "x", "repo": "a/b", "revision": COMMIT},
            "needs a path or a repo, and not both",
        ),
        ("visual", {"kind": "arxivqa", "repo": "a/b"}, "needs a revision: the 40 hex digits"),
        ("visual", {"kind": "arxivqa", "repo": "a/b", "revision": "main"}, "needs a revision: the 40 hex digits"),
        ("visual", {"kind": "arxivqa", "path": "x", "parts": {"a": 1}}, "a arxivqa source has no parts"),
        ("visual", {"kind": "vlaa", "path": "x", "license": "mit"}, "keeps the licence of its own upstream"),
        ("text", {"kind": "reasoning_gym"}, "needs tasks"),
        ("text", {"kind": "reasoning_gym", "tasks": {"gcd": {}}, "path": "x"}, "makes its rows itself"),
        ("text", {"kind": "nonsense"}, "must be one of docci, pixmo"),
    ],
)
def test_a_source_that_makes_no_sense_is_one_sentence(
    tmp_path: Path, stage: str, source: dict[str, object], sentence: str
) -> None:
    small = worlds.recipe_over(tmp_path, "http://127.0.0.1:9/v1").model_dump()
    with pytest.raises(RecipeError, match=sentence):
        recipe.parse(small | {stage: {"source": source}}, "test")


def test_one_source_or_several_but_not_both_and_not_none(tmp_path: Path) -> None:
    small = worlds.recipe_over(tmp_path, "http://127.0.0.1:9/v1").model_dump()
    one = {"kind": "orz", "path": "x"}
    for text, said in (({}, "source is missing"), ({"source": one, "sources": [one]}, "both source and sources")):
        with pytest.raises(RecipeError, match=said):
            recipe.parse(small | {"text": text}, "test")


def test_a_dumped_recipe_is_read_back_the_same(world: Path) -> None:
    import yaml

    wanted = several(world, "http://127.0.0.1:9/v1")
    assert recipe.parse(yaml.safe_load(recipe.dump(wanted)), "again") == wanted


def hostile_tar(path: Path) -> Path:
    with tarfile.open(path, "w:gz") as bundle:
        for name in ("../out.png", "/abs.png", "a/../../b.png", "good/x.png"):
            info = tarfile.TarInfo(name)
            info.size = len(data.picture(1))
            bundle.addfile(info, io.BytesIO(data.picture(1)))
        for kind, name in (
            (tarfile.SYMTYPE, "good/link.png"),
            (tarfile.LNKTYPE, "good/hard.png"),
            (tarfile.FIFOTYPE, "p"),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            bundle.addfile(info)
    return path


def test_links_and_names_that_lead_out_of_an_archive_are_passed_over(tmp_path: Path) -> None:
    names = [str(member.name) for member in archives.members(hostile_tar(tmp_path / "x.tar.gz"))]
    assert names == ["good/x.png"]
    zipped = data.zipped(tmp_path / "x.zip", {"../o.png": b"x", "/a.png": b"x", "a\\b.png": b"x", "good/x.png": b"x"})
    assert [str(member.name) for member in archives.members(zipped)] == ["good/x.png"]


@pytest.mark.parametrize("name", ["x.tar.gz", "x.zip"])
def test_a_member_larger_than_the_limit_is_refused_and_the_rest_goes_on(tmp_path: Path, name: str) -> None:
    write = data.tar if name.endswith("gz") else data.zipped
    path = write(tmp_path / name, {"large.png": bytes(10_000_000), "small.png": b"small"})
    found = {}
    for member in archives.members(path):
        try:
            found[str(member.name)] = member.read(1000)
        except ImageProblem as problem:
            found[str(member.name)] = problem.reason.encode()
    assert found == {"large.png": b"image_too_large", "small.png": b"small"}


@pytest.mark.parametrize("name", ["x.tar.gz", "x.zip"])
def test_a_torn_archive_is_one_sentence(tmp_path: Path, name: str) -> None:
    write = data.tar if name.endswith("gz") else data.zipped
    path = write(tmp_path / name, {"a.png": data.picture(1), "b.png": data.picture(2)})
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(SourceError, match=r"cannot be read .*download it again"):
        [member.read(10**6) for member in archives.members(path)]


def test_a_name_that_two_members_fit_is_no_image(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    data.write_lines(folder / "rows.jsonl", [{"image": "x.png", "caption": "Which?"}])
    data.zipped(folder / "p.zip", {"a/x.png": data.picture(1), "b/x.png": data.picture(2)})
    section = data.section("captions", folder, columns={}, images="p.zip", files=["*.jsonl"], source="s")
    from capcurriculum.rows import Stage

    assert data.reasons(data.read(section, tmp_path / "run", Stage.PERCEPTION)) == ["missing_file"]


def test_a_source_read_to_its_end_is_not_read_again_until_its_files_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worlds.docci(tmp_path / "docci", 3)
    worlds.problems(tmp_path / "text", 2)
    wanted = worlds.recipe_over(tmp_path, "http://127.0.0.1:1/v1")
    with writing(wanted) as run:
        gather.gather(gather.setting(run, wanted))
    read: list[str] = []
    real = gather.registry.rows
    monkeypatch.setattr(gather.registry, "rows", lambda s, p, stage, *k: read.append(stage) or real(s, p, stage, *k))
    with writing(wanted) as run:
        gather.gather(gather.setting(run, wanted))
        assert read == []
        with (tmp_path / "text" / "problems.jsonl").open("a") as handle:
            handle.write('{"problem": "What is 7 + 8?", "answer": "15"}\n')
        gather.gather(gather.setting(run, wanted))
        assert read == ["text"]
        assert run.questions.count() == 3
        assert run.captions.count() == 3


def small(world: Path, **text: Any) -> Recipe:
    """A recipe of text problems in `world/set`."""
    source = {"kind": "problems", "path": str(world / "set"), "source": "s", "columns": {}} | text
    return worlds.recipe_over(world, "http://127.0.0.1:9/v1", perception=None, text={"source": source})


def test_faults_of_all_sources_are_said_at_once(world: Path) -> None:
    sources = [{"kind": "orz", "path": str(world / "nowhere")}, {"kind": "problems", "path": str(world / "docci")}]
    with pytest.raises(SourceError, match=r"2 sources cannot be used: \(1\) .*nowhere is not there.* \(2\) "):
        gathered(several(world, "http://127.0.0.1:9/v1", text={"sources": sources}))


def test_a_dry_run_says_all_faults_too(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sources = [{"kind": "orz", "path": str(world / "more")}, {"kind": "problems", "path": str(world / "docci")}]
    plain = several(world, "http://127.0.0.1:9/v1", text={"sources": sources})
    (world / "recipe.yaml").write_text(recipe.dump(plain))
    assert cli.main(["build", "--dry-run", str(world / "recipe.yaml")]) == 2
    assert "2 sources cannot be used: (1) " in capsys.readouterr().err


def test_a_source_that_loses_every_row_stops_and_the_other_one_is_no_excuse(world: Path) -> None:
    data.write_lines(world / "set/rows.jsonl", [{"question": "1 + 1?", "answer": None}] * 3)
    sources = [
        {"kind": "problems", "path": str(world / "text"), "source": "sums"},
        {"kind": "problems", "path": str(world / "set"), "source": "s", "columns": {"problem": "question"}},
    ]
    with pytest.raises(SourceError, match=r"text source .*set lost all of its 3 rows: missing_field 3 \(row 1 has no"):
        gathered(several(world, "http://127.0.0.1:9/v1", text={"sources": sources}))


@pytest.mark.parametrize(("lost", "said"), [(2, False), (3, True)])
def test_a_source_that_loses_more_than_a_fifth_says_so(
    world: Path, capsys: pytest.CaptureFixture[str], lost: int, said: bool
) -> None:
    rows = [{"problem": f"{n} + {n}?", "answer": str(2 * n) if n >= lost else None} for n in range(10)]
    data.write_lines(world / "set/rows.jsonl", [*rows, rows[-1]])  # a repeated row is not lost
    gathered(small(world))
    told = f"source, text: {lost} of 10 rows are lost: missing_field {lost} (row 1 has no text in 'answer')"
    assert (told in capsys.readouterr().err) == said


def test_a_file_that_breaks_off_is_said_where_its_whole_rows_are_taken(
    world: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{"problem": f"{n} + {n}?", "answer": str(2 * n)} for n in range(20)]
    path = data.write_json(world / "set/rows.json", rows)
    path.write_text(path.read_text()[:-5])
    with pytest.raises(SourceError, match="incomplete: keep"):
        gathered(small(world))
    run = gathered(small(world, incomplete="keep"))
    assert run.questions.count() == 19
    assert "rows.json breaks off after its first 19 rows, which are taken" in capsys.readouterr().err


def test_a_build_that_asked_nothing_does_not_lock_its_recipe(world: Path) -> None:
    data.write_lines(world / "set/rows.jsonl", [{"question": "1 + 1?", "answer": "2"}])
    with pytest.raises(SourceError, match="no column 'problem'"):
        gathered(small(world))
    run = gathered(small(world, columns={"problem": "question"}))
    assert [q.answer for q in run.questions.rows()] == ["2"]
    data.write_lines(world / "set/rows.jsonl", [{"q": "1 + 2?", "answer": "3"}])
    run = gathered(small(world, columns={"problem": "q"}))
    assert [q.answer for q in run.questions.rows()] == ["3"]
    assert {verdict.keep for verdict in run.verdicts.rows()} == {True}


def test_rows_added_to_a_source_that_is_one_file_are_found(world: Path) -> None:
    path = data.write_lines(world / "rows.jsonl", [{"problem": "1 + 1?", "answer": "2"}])
    assert gathered(small(world, path=str(path))).questions.count() == 1
    data.write_lines(path, [{"problem": "1 + 1?", "answer": "2"}, {"problem": "1 + 2?", "answer": "3"}])
    assert gathered(small(world, path=str(path))).questions.count() == 2


def test_refused_rows_are_read_again_when_their_files_are_mended(world: Path) -> None:
    data.write_lines(world / "set/rows.jsonl", [{"problem": "Which?", "answer": "red", "image": "p.png"}])
    source = {"kind": "problems", "path": str(world / "set"), "source": "s", "columns": {}}
    wanted = worlds.recipe_over(world, "http://127.0.0.1:9/v1", perception=None, text=None, visual={"source": source})
    with pytest.raises(SourceError, match="lost all of its 1 rows: missing_file"):
        gathered(wanted)
    (world / "set/p.png").write_bytes(data.picture(3))
    run = gathered(wanted)
    assert run.questions.count() == 1
    assert [verdict.keep for verdict in run.verdicts.rows()] == [True]


def test_refused_rows_come_back_when_mended_and_their_old_verdicts_go(world: Path) -> None:
    rows = [{"problem": f"{n} + {n}?", "answer": str(2 * n) if n > 1 else None} for n in range(12)]
    data.write_lines(world / "set/rows.jsonl", rows)
    run = gathered(small(world))
    worlds.begin(run)
    assert sum(not verdict.keep for verdict in run.verdicts.rows()) == 2
    data.write_lines(world / "set/rows.jsonl", [row | {"answer": str(2 * n)} for n, row in enumerate(rows)])
    run = gathered(small(world))
    assert run.questions.count() == 12
    assert [verdict.keep for verdict in run.verdicts.rows()] == [True] * 12


def test_a_picture_that_was_replaced_is_not_shown_under_the_old_rows(world: Path) -> None:
    rows = [{"problem": f"{n}?", "answer": "red", "image": f"{n}.png"} for n in range(3)]
    data.write_lines(world / "set/rows.jsonl", rows)
    for n in range(3):
        (world / f"set/{n}.png").write_bytes(data.picture(n))
    source = {"kind": "problems", "path": str(world / "set"), "source": "s", "columns": {}}
    wanted = worlds.recipe_over(world, "http://127.0.0.1:9/v1", perception=None, text=None, visual={"source": source})
    worlds.begin(gathered(wanted))
    (world / "set/1.png").write_bytes(data.picture(1, kind="BMP"))  # the same pixels
    gathered(wanted)
    (world / "set/1.png").write_bytes(data.picture(7))
    with pytest.raises(SourceError, match=r"visual source 1 are not those any more .*1\.png; put them back"):
        gathered(wanted)


def test_a_link_to_itself_in_a_source_is_passed_over(world: Path) -> None:
    data.write_lines(world / "set/rows.jsonl", [{"problem": "1 + 1?", "answer": "2"}])
    (world / "set/loop").symlink_to("loop")
    assert gathered(small(world)).questions.count() == 1
