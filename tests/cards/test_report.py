"""The page on a run, by its file: its numbers are the run's, its text is data, and nothing of the user's is lost."""

import base64
import hashlib
import io
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from PIL import Image

from capcurriculum import cli
from capcurriculum.errors import RunError
from capcurriculum.ledger import funnel
from capcurriculum.render.progress import Display
from capcurriculum.run import Run
from capcurriculum.stats import PassRate
from cards.report import arms, charts, numbers, write
from cards.report.fates import Snapshot, chosen, fates
from cards.report.images import SIDE, RowImage, each
from cards.report.write import data_folder, report
from curricula.build import build
from tests.support import endpoint, report_runs, worlds

TAUGHT = ("perception", "text", "visual")


class Page(HTMLParser):
    """Elements and script bodies of a page as a browser would part them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.bodies: list[tuple[dict[str, str | None], str]] = []
        self.inside = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.inside = tag in ("script", "style")
        if self.inside:
            self.bodies.append((dict(attrs), ""))

    def handle_endtag(self, tag: str) -> None:
        self.inside = False

    def handle_data(self, data: str) -> None:
        if self.inside:
            about, text = self.bodies[-1]
            self.bodies[-1] = about, text + data


def blocks(path: Path, name: str) -> list[Any]:
    """The rows of every block called `name`, of a page in one file or with data beside it."""
    folder = data_folder(path)
    if folder.is_dir():
        texts = {file.stem: file.read_text("utf-8") for file in folder.glob(f"{name}-*.js")}
        found = {key: text.removeprefix(f'capcurriculumBlock("{key}",')[:-1] for key, text in texts.items()}
    else:
        page = Page(path.read_text("utf-8"))
        found = {
            str(about["id"]): text for about, text in page.bodies if str(about.get("id", "")).startswith(f"{name}-")
        }
    return [row for key in sorted(found, key=lambda k: int(k.split("-")[1])) for row in json.loads(found[key])]


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return report_runs.make(tmp_path_factory.mktemp("planted"), 60, nasty=True)


@pytest.fixture(scope="module")
def page(planted: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return report(planted, tmp_path_factory.mktemp("page") / "page.html", Display())


@pytest.fixture(scope="module")
def beside(planted: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(write, "ONE_FILE_ROWS", 10)
        patch.setattr(write, "INDEX_ROWS", 20)
        patch.setattr(write, "DETAIL_ROWS", 10)
        return report(planted, tmp_path_factory.mktemp("beside") / "large page.html", Display())


def test_every_count_of_the_funnel_is_so_many_rows_of_the_gallery(planted: Run, page: Path) -> None:
    rows = blocks(page, "index")
    told = {(x.stage, x.filter, why): n for x in funnel.lines(planted) for why, n in x.dropped.items()}
    decided: dict[tuple[str, str, str], int] = {}
    for row in rows:
        if row["fate"] == "dropped":
            key = row["stage"], row["filter"], row["reason"]
            decided[key] = decided.get(key, 0) + 1
    assert decided == told
    assert {name for _, name, _ in told} >= {"source", "perception", "difficulty"}
    labelled = {x.filter: dict(x.labelled) for x in funnel.lines(planted) if x.labelled}
    on_the_road = sum(["blind", "right_without_image", 1] in row["remarks"] for row in rows)
    assert labelled == {"blind": {"right_without_image": on_the_road}}
    assert on_the_road < sum(name == "blind" for row in rows for name, _, _ in row["remarks"])
    last = [line for line in funnel.lines(planted) if line.filter == "difficulty"]
    assert sum(row["fate"] == "kept" for row in rows) == sum(line.kept for line in last) > 0


def test_a_detail_holds_the_whole_evidence_of_its_row(planted: Run, page: Path) -> None:
    index, details = blocks(page, "index"), blocks(page, "detail")
    assert len(index) == len(details)
    questions = {q.question_id: q for q in planted.questions.rows()}
    assert {row["id"] for row in index if row["kind"] == "question"} == questions.keys()
    for row, detail in zip(index, details, strict=True):
        replies = [a for a in planted.answers.rows() if a.question_id == row["id"]] if row is index[0] else None
        if row["kind"] != "question":
            assert detail["answers"] == []
            assert detail["verdicts"][0][2] == row["reason"]
            continue
        question = questions[row["id"]]
        assert detail["problem"] == (question.text or question.problem)
        assert tuple(detail["options"]) == question.options
        assert detail["key"] == question.answer
        told = [name for name, *_ in detail["verdicts"]]
        assert told[0] == ("teacher" if question.caption_id else "rollouts")
        assert told == sorted(told, key=("teacher", "perception", "blind", "rollouts", "difficulty").index)
        if replies:
            assert sorted(a[10] for a in detail["answers"]) == sorted(a.text for a in replies)
            rollouts = PassRate.of(a.outcome for a in replies if a.purpose == "rollout")
            assert (row["k"], row["n"]) == (rollouts.k, rollouts.n)
            assert row["unknown"] == rollouts.unreadable + rollouts.failed


def test_kept_rows_come_first_and_from_easy_to_hard(page: Path) -> None:
    rows = [row for row in blocks(page, "index") if row["stage"] == "perception"]
    fate = [row["fate"] for row in rows]
    assert fate == sorted(fate, key=("kept", "open", "dropped").index)
    rates = [row["k"] / row["n"] for row in rows if row["fate"] == "kept"]
    assert rates == sorted(rates, reverse=True)
    assert len(set(rates)) > 1


def test_rows_beyond_the_limit_are_left_out_where_most_share_a_fate(planted: Run) -> None:
    found = fates(Snapshot.of(planted))
    few = chosen(found, 20, TAUGHT)
    assert few.total == found.height
    assert few.rows.height == 20
    assert few.rows["at"].to_list() == list(range(20))
    assert few.rows.drop("at").equals(
        chosen(found.sample(fraction=1, shuffle=True, seed=3), 20, TAUGHT).rows.drop("at")
    )
    group = ["stage", "fate", "filter", "reason"]
    most = found.group_by(group).len().sort("len")
    shown = few.rows.group_by(group).len(name="shown")
    both = most.join(shown, on=group, how="left").with_columns(pl.col("shown").fill_null(0))
    assert both.height > 4
    even = 20 // both.height
    assert both.filter(pl.col("shown") < pl.min_horizontal("len", pl.lit(even))).is_empty()


@pytest.mark.parametrize("kind", ["page", "beside"])
def test_text_of_the_run_never_becomes_markup(kind: str, request: pytest.FixtureRequest) -> None:
    path: Path = request.getfixturevalue(kind)
    text = path.read_text("utf-8")
    parted = Page(text)
    scripts = [about for tag, about in parted.tags if tag == "script"]
    assert [about for about in scripts if about.get("type") != "application/json"] == [{}]
    assert not [tag for tag, _ in parted.tags if tag in ("img", "iframe", "object", "embed", "link", "base")]
    handlers = [name for _, about in parted.tags for name in about if name.startswith("on") or name == "style"]
    assert handlers == []
    addresses = {str(about[name]) for _, about in parted.tags for name in ("src", "href") if name in about}
    assert addresses
    assert all(address.startswith("#") for address in addresses)
    assert "owned = 1" in " ".join(row["text"] for row in blocks(path, "index"))
    for file in data_folder(path).glob("*.js"):
        assert not set("<>&\u2028\u2029") & set(file.read_text("utf-8"))


@pytest.mark.parametrize("kind", ["page", "beside"])
def test_the_policy_allows_this_script_and_style_alone(kind: str, request: pytest.FixtureRequest) -> None:
    path: Path = request.getfixturevalue(kind)
    parted = Page(path.read_text("utf-8"))
    policy = next(
        str(about["content"]) for _, about in parted.tags if about.get("http-equiv") == "Content-Security-Policy"
    )
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == "'none'"
    assert "unsafe" not in policy
    own = [text for about, text in parted.bodies if about == {}]
    assert len(own) == 2
    style, script = (base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in own)
    assert rules["style-src"] == f"'sha256-{style}'"
    allowed = rules["script-src"].split(" ")
    assert allowed[0] == f"'sha256-{script}'"
    assert [word[:7] for word in allowed[1:]] == (["'nonce-"] if kind == "beside" else [])


def test_data_beside_the_page_is_the_same_and_pictures_are_files(page: Path, beside: Path) -> None:
    assert blocks(page, "index") == blocks(beside, "index")
    assert blocks(page, "detail") == blocks(beside, "detail")
    names = {row["image"] for row in blocks(beside, "index") if row["image"]}
    assert len(names) == 12
    for name in names:
        with Image.open(data_folder(beside) / f"{name}.webp") as image:
            assert image.format == "WEBP"


def test_a_report_written_again_takes_the_place_of_the_last(planted: Run, tmp_path: Path) -> None:
    out = tmp_path / "again.html"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(write, "ONE_FILE_ROWS", 10)
        report(planted, out, Display(), rows=30)
        (data_folder(out) / "detail-99.js").touch()
        (tmp_path / ".tmp-new-report-again.data").mkdir()  # what a kill left
        report(planted, out, Display(), rows=30)
    assert not (data_folder(out) / "detail-99.js").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again.data", "again.html"]
    report(planted, out, Display(), rows=9)
    assert [path.name for path in tmp_path.iterdir()] == ["again.html"]


def test_a_folder_of_the_users_own_is_never_taken(planted: Run, tmp_path: Path) -> None:
    (tmp_path / "page.data").mkdir()
    (tmp_path / "page.data" / "thesis.txt").write_text("years of work")
    for wrong in (tmp_path / "page.html", tmp_path, tmp_path / "notes.txt", tmp_path / "absent" / "page.html"):
        with pytest.raises(RunError, match=r"--out|open it"):
            report(planted, wrong, Display())
    assert (tmp_path / "page.data" / "thesis.txt").read_text() == "years of work"
    assert [path.name for path in tmp_path.iterdir()] == ["page.data"]


def test_what_breaks_on_the_way_leaves_the_earlier_report(planted: Run, tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(write, "ONE_FILE_ROWS", 10)
        report(planted, out, Display())
        before = {path.name: path.read_bytes() for path in [out, *data_folder(out).iterdir()]}

        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        patch.setattr(write, "_write_images", full)
        with pytest.raises(RunError, match="No space left"):
            report(planted, out, Display(), rows=20)
    assert {path.name: path.read_bytes() for path in [out, *data_folder(out).iterdir()]} == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["page.data", "page.html"]


def test_pictures_are_small_upright_and_refused_where_they_lead_out(tmp_path: Path) -> None:
    inside = tmp_path / "in"
    inside.mkdir()
    Image.new("RGB", (1600, 800), "red").save(inside / "large.jpg")
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    Image.new("RGB", (60, 30), "red").save(inside / "turned.jpg", exif=exif)
    Image.new("RGBA", (40, 40), (0, 0, 0, 0)).save(inside / "clear.png")
    Image.new("I;16", (40, 40), 40_000).save(inside / "deep.png")
    (inside / "broken.jpg").write_bytes(b"no image")
    Image.new("RGB", (40, 40)).save(tmp_path / "outside.png")
    names = ("large.jpg", "turned.jpg", "clear.png", "deep.png", "broken.jpg", "../outside.png", "absent.png")
    wanted = [RowImage.of("visual", "i", name) for name in names]
    made = {p.path: Image.open(io.BytesIO(data)) for p, data in each(filter(None, wanted), {"visual": inside})}
    assert list(made) == ["large.jpg", "turned.jpg", "clear.png", "deep.png"]
    assert made["large.jpg"].size == (SIDE, SIDE // 2)
    assert made["turned.jpg"].size == (30, 60)
    assert made["clear.png"].convert("RGB").getpixel((20, 20)) == (255, 255, 255)
    assert made["deep.png"].convert("L").getpixel((20, 20)) in range(154, 158)
    assert RowImage.of("text", "", "") is None


def test_charts_add_up_to_what_they_count(planted: Run) -> None:
    found = fates(Snapshot.of(planted))
    snapshot, measured = Snapshot.of(planted), found.filter(pl.col("pass_n") > 0).height
    for histograms, total in (
        (numbers.pass_rates(found, TAUGHT), measured),
        (numbers.question_lengths(snapshot, found), planted.questions.count()),
        (numbers.reply_lengths(snapshot), sum(a.purpose == "rollout" for a in planted.answers.rows())),
    ):
        assert sum(sum(series) for chart in histograms for series in chart.series.values()) == total > 0
        assert all(len(series) == len(c.labels) <= 18 for c in histograms for series in c.series.values())
    lines = arms.arms(snapshot)
    assert [line.arm for line in lines] == ["image", "caption", "blind", "swapped"] * 2
    assert all(sum(line.counts.values()) == 60 for line in lines)
    for cross in arms.crosses(snapshot):
        image = next(line for line in lines if (line.solver, line.arm) == (cross.solver, "image"))
        wrong = sum(n for (seen, _), n in cross.counts.items() if seen == "wrong")
        assert wrong == image.counts["wrong"]
    keys = numbers.keys(snapshot, found)
    assert [line.stage for line in keys] == ["perception"]
    assert (
        sum(keys[0].counts.values()) == found.filter(pl.col("stage") == "perception", pl.col("fate") == "kept").height
    )


@pytest.mark.parametrize("control", [0.0, 0.4])
def test_arms_of_a_probe_that_stops_are_estimated_from_its_control_sample(tmp_path: Path, control: float) -> None:
    worlds.docci(tmp_path / "docci", 60)
    with endpoint.serving(endpoint.Endpoint(image_right=0.7)) as server:
        full, few = (
            build(worlds.recipe_over(tmp_path, server.url, probe, text=None, name=name), Display())
            for name, probe in (("full", {"stop": "never"}), ("few", {"control": control}))
        )
    whole, estimated = ({(a.solver, a.arm): a for a in arms.arms(Snapshot.of(run))} for run in (full, few))
    assert not any(line.sampled for line in whole.values())
    assert whole["one", "image"].counts == estimated["one", "image"].counts, "the first solver sees every image"
    if not control:
        assert set(estimated) == {("one", "image")}, "without a control sample there is no estimate"
        return
    assert estimated["one", "image"].sampled == 0
    for key in (("two", "image"), ("one", "caption"), ("two", "caption"), ("one", "blind")):
        line = estimated[key]
        assert 10 < line.sampled < 60
        assert sum(line.counts.values()) == 60
        # The decided rows alone would say that the second solver is nearly always wrong from the image.
        assert abs(line.counts["right"] - whole[key].counts["right"]) <= 15
    for line in arms.crosses(Snapshot.of(few)):
        assert sum(line.counts.values()) == 60
        assert line.sampled


def test_one_endless_text_does_not_flatten_the_others() -> None:
    lengths = [*range(100, 200), *range(100, 200), 100_000]
    rows = pl.LazyFrame({"stage": "text", "fate": "kept", "length": lengths})
    chart = numbers._lengths(rows, "fate", ("kept",), "characters", TAUGHT)[0]
    assert chart.labels[-1] == "200+"
    assert chart.series["kept"][-1] == 1
    assert max(chart.series["kept"]) == 40


def test_chi_square_is_the_known_one() -> None:
    # From scipy.stats.chisquare, which takes seconds to import.
    assert numbers._uniform((31, 22, 28, 19)) == pytest.approx((3.6, 0.3080222), abs=1e-6)
    assert numbers._uniform((5, 7, 10, 3)) == pytest.approx((4.28, 0.2327734), abs=1e-6)
    assert numbers._uniform((25, 25, 25, 25)) == (0, 1)
    assert numbers._uniform((0, 0, 0, 0)) == (0, None)


def test_names_in_charts_are_escaped() -> None:
    line = funnel.FunnelLine("text", '<b onload="x">', 3, 1, {"<i>&": 2})
    parted = Page(str(charts.funnel("<u>", [line])))
    assert {tag for tag, _ in parted.tags} == {"svg", "text", "rect", "title", "a"}
    assert not [name for _, about in parted.tags for name in about if name.startswith("on")]


def test_a_run_without_rows_has_a_page(planted: Run, tmp_path: Path) -> None:
    empty = Run(tmp_path / "empty")
    empty.path.mkdir()
    (empty.path / "recipe.yaml").write_bytes((planted.path / "recipe.yaml").read_bytes())
    path = report(empty, None, Display())
    assert path == empty.path / "report.html"
    assert "No verdict yet" in path.read_text("utf-8")
    assert blocks(path, "index") == []


@pytest.mark.parametrize("table", ["questions", "answers", "verdicts"])
def test_a_damaged_shard_is_one_sentence(planted: Run, tmp_path: Path, table: str) -> None:
    run = Run(Path(shutil.copytree(planted.path, tmp_path / "run")))
    shard = sorted((run.path / table).glob("*.parquet"))[0]
    data = shard.read_bytes()
    shard.write_bytes(data[:4] + b"\xff" * (len(data) // 2) + data[4 + len(data) // 2 :])
    with pytest.raises(RunError, match=rf"{shard.name} is damaged .* remove it and .*`capcurriculum build"):
        report(run, None, Display())
    assert not (run.path / "report.html").exists()


def test_the_verb_writes_the_page_and_says_where(
    planted: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "page.html"
    assert cli.main(["report", str(planted.path), "--out", str(out), "--rows", "25"]) == 0
    assert str(out) in capsys.readouterr().out
    assert re.search(r"25 of the run's 69 rows", out.read_text("utf-8"))
    assert len(blocks(out, "index")) == 25
    assert cli.main(["report", str(planted.path), "--out", str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("\n") >= 1
    for wrong in ("0", "many"):
        assert cli.main(["report", str(planted.path), "--rows", wrong]) == 2
