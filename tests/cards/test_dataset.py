"""The card of a data set: its numbers are the files', what is unknown is said, and nothing foreign runs in it."""

import json
import shutil
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from capcurriculum.errors import RunError
from capcurriculum.ledger import funnel
from capcurriculum.render.progress import Display
from capcurriculum.run import Run
from cards import citations, licences
from cards.dataset import columns, metadata, rows
from cards.dataset.card import render
from cards.staged import Staged
from curricula import make
from curricula.stage_rows import features
from hub.card import staged as staged_card
from tests.support import card_runs, report_runs
from tests.support.card_text import FOREIGN, check


def body(staged: Staged) -> str:
    """The card without its YAML."""
    text = (staged.folder / "README.md").read_text("utf-8")
    return text.split("\n---\n", 1)[1]


def data(staged: Staged) -> Any:
    """The YAML as the Hub's library reads it."""
    from huggingface_hub import DatasetCard

    return DatasetCard.load(staged.folder / "README.md").data


def section(text: str, title: str) -> str:
    """What stands below a heading."""
    return text.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run with tables, whose texts are markup, and its stage files."""
    run = report_runs.make(tmp_path_factory.mktemp("planted"), 60, nasty=True)
    make.curriculum(run.recipe(), make.STAGES, Display())
    return run


@pytest.fixture(scope="module")
def card(built: Run, tmp_path_factory: pytest.TempPathFactory) -> Staged:
    staged = staged_card(built, "", [], tmp_path_factory.mktemp("card"))
    render(staged)
    return staged


def test_the_numbers_are_those_of_the_files_and_the_ledger(built: Run, card: Staged) -> None:
    text = body(card)
    check(text)
    files = pl.concat([rows.scan(one) for one in card.sets])
    for name, split, count in files.group_by("stage", "split").len().collect().iter_rows():
        assert f"| `{name}` | `{split}` | {count:,} |" in section(text, "Rows")
    for line in funnel.lines(built):
        assert f"| `{line.stage}` | `{line.filter}` | {line.met:,} | {line.kept:,} |" in section(
            text, "Attrition by filter"
        )
        assert all(f"`{why}` {count:,}" in text for why, count in line.dropped.items())
    own = dict(files.filter(pl.col("stage") == "perception").group_by("answer").len().collect().iter_rows())
    test = chisquare([own.get(letter, 0) for letter in "ABCD"])
    assert f"chi-square {test.statistic:.2f} with 3 degrees of freedom" in section(text, "Answer keys")
    infos = {info["config_name"]: info for info in data(card).dataset_info}
    assert (
        sum(s["num_examples"] for i in infos.values() for s in i["splits"]) == files.select(pl.len()).collect().item()
    )
    assert data(card).size_categories == ["n<1K"]


def test_the_same_run_gives_the_same_bytes(built: Run, card: Staged, tmp_path: Path) -> None:
    written = render(staged_card(built, "", [], tmp_path))
    assert {path.relative_to(tmp_path).as_posix() for path in written} >= {"README.md", "pictures/pass_rates.png"}
    for path in written:
        assert path.read_bytes() == (card.folder / path.relative_to(tmp_path)).read_bytes()
    assert str(built.path.parent) not in (tmp_path / "README.md").read_text("utf-8")


def test_datasets_opens_what_the_card_describes(built: Run, tmp_path: Path) -> None:
    """`load_dataset` believes the YAML: splits, patterns and features."""
    from datasets import load_dataset

    staged = staged_card(built, "", [], tmp_path)
    render(staged)
    for one in staged.sets:
        for paths in one.files.values():
            for path in paths:
                (tmp_path / one.name).mkdir(exist_ok=True)
                shutil.copy(path, tmp_path / one.name)
    for one in staged.sets:
        found = load_dataset(str(tmp_path), one.config, split="train", cache_dir=str(tmp_path / "cache"))
        assert found.num_rows == pl.scan_parquet(list(one.files["train"])).select(pl.len()).collect().item()
        assert found.features == features()


def test_a_mixed_set_names_every_licence_and_the_strictest(tmp_path: Path) -> None:
    kinds = [("VLAA/synthesis", "gpl-3.0"), ("VLAA/arxivqa", "cc-by-sa-4.0"), ("VLAA/clevr_math", "cc-by-4.0")]
    mixed = [card_runs.row(n, source=source, license=name) for n, (source, name) in enumerate(kinds * 3)]
    staged = card_runs.staged(tmp_path, card_runs.made(tmp_path, mixed))
    collection = {"kind": "vlaa", "source": "VLAA", "upstream": "UCSC-VLAA/VLAA-Thinking", "revision": "f" * 40}
    card_runs.declare(staged.run, collection)
    render(staged)
    text = section(body(staged), "Sources and licences")
    assert "The strictest is `gpl-3.0` (3 rows), which is a copyleft licence" in text
    assert "- `cc-by-sa-4.0`, 3 rows: requires attribution, and adaptations under the same licence" in text
    assert data(staged).license == ["gpl-3.0", "cc-by-sa-4.0", "cc-by-4.0"]
    cited = section(body(staged), "Citation")
    assert all(key in cited for key in ("wu2026seeing", "chen2025sft", "zhuang2024math", "li2024multimodal"))
    assert "f" * 40 in text


def test_an_unknown_licence_is_said_to_be_unknown_and_comes_first(tmp_path: Path) -> None:
    names = ["mit", "unknown", "", "My Own Terms v2"]
    found = [card_runs.row(n, license=names[n % 4]) for n in range(8)]
    staged = card_runs.staged(tmp_path, card_runs.made(tmp_path, found))
    render(staged)
    text = body(staged)
    assert data(staged).license == ["unknown", "other", "mit"]
    assert "is not stated, so no permission can be assumed for these rows" in section(text, "Sources and licences")
    assert "`My Own Terms v2`, 2 rows: is not on the list of known licences" in text
    assert "The licence of 4 rows is unknown." in section(text, "Limits")
    assert "The citation of `pictures` is unknown." in text
    assert data(staged).get("language") is None


def test_estimates_of_wrong_labels_are_shown_or_said_to_be_missing(tmp_path: Path) -> None:
    staged = card_runs.staged(tmp_path, card_runs.made(tmp_path, [card_runs.row(n) for n in range(8)]))
    render(staged)
    text = section(body(staged), "Wrong labels")
    assert "- `perception`: no upper bound is known, since people reviewed none of its rows." in text
    assert "The share was not estimated." in text
    audit = {"askers": ["judge@1"], "independent": False, "rates": [card_runs.rate("kept", 900, 90, 10, 4)]}
    people = {
        "people": 3,
        "reviews": 60,
        "corrected_keys": 2,
        "agreement": None,
        "certificates": [
            {
                "stages": ["perception"],
                "rows": 8,
                "drawn": 60,
                "reviewed": 60,
                "wrong": 1,
                "undecided": 0,
                "newer": 0,
                "most": 3,
                "misses": None,
                "auditors": {"right": 50, "right_doubted": 4, "wrong": 1, "wrong_doubted": 1},
            }
        ],
        "rates": [card_runs.rate("kept", 900, 47, 3)],
    }
    (staged.run.path / "audit.json").write_text(json.dumps(audit))
    (staged.run.path / "review.json").write_text(json.dumps(people))
    render(staged)
    text = section(body(staged), "Wrong labels")
    assert "| `kept` | 900 | 104 | 10 | 4 | 10.0% (5.0% to 20.0%) |" in text
    assert "| `kept` | 900 | 50 | 3 | 0 | 6.0% (3.0% to 12.0%) |" in text
    assert "- `perception`: At most 37.5% of the 8 rows (3) have a wrong label, at 95 % confidence" in text
    assert "Auditors had doubted 1 of the 1 that people found wrong and 4 of the 50 that they found right." in text
    assert "By people's opinions (3 people, 60 reviews)." in text
    assert "They corrected 2 gold answers." in text
    assert "One of them filtered the run" in text.split("By people's")[0]
    odd = json.dumps({"rates": [card_runs.rate("kept", 9, 8, 1) | {"share": float("nan")}]})
    for wrong in ("{", '{"rates": [{}]}', odd):
        (staged.run.path / "audit.json").write_text(wrong)
        with pytest.raises(RunError, match=r"audit\.json cannot be read"):
            render(staged)


def test_a_downloaded_set_says_what_is_unknown(tmp_path: Path) -> None:
    """Only the files are there: no tables, no recipe file, no rollouts, no options, no picture."""
    found = [
        card_runs.row(n, stage="plans", problem="Why?", options=[], images=[], pass_k=0, pass_n=0, predictions=[],
                      correctness=[], answer="42") for n in range(4)
    ]  # fmt: skip
    staged = card_runs.staged(tmp_path, card_runs.made(tmp_path, found, "plans"))
    (staged.run.path / "recipe.yaml").unlink()
    written = render(staged)
    assert [path.name for path in written] == ["README.md"]
    text = body(staged)
    check(text)
    assert "`plans`: rows of a capability that the recipe defines." in text
    assert "Unknown: the ledger of the run was not available." in text
    assert "No pass rate was measured." in text
    assert "No row has options." in text
    assert "Unknown: no requests were recorded." in text
    assert "an unknown version" in text
    assert "The order of the rows is unknown" in text
    assert data(staged).task_categories == ["question-answering"]


def test_an_order_is_told_in_words_and_as_the_command_that_makes_it(built: Run, tmp_path: Path) -> None:
    from capcurriculum.recipe.curriculum import OrderSection

    section_ = OrderSection(order="interleaved", stages=("text", "perception"), by="skill", reverse=True)
    folder = make.curriculum(built.recipe(), section_, Display())
    staged = staged_card(built, folder.name, [], tmp_path)
    render(staged)
    text = body(staged)
    assert "every prefix has each `skill` in proportion, each of them hard to easy" in text
    assert "--order interleaved --stages text-perception --reverse --by skill" in text
    with pytest.raises(RunError, match="has no set other"):
        staged_card(built, "", ["other"], tmp_path)


def test_few_rows_have_no_p_value_and_many_have_scipys() -> None:
    assert rows.uniform([4, 2, 2, 0]) == (4.0, None)
    assert rows.uniform([31, 22, 28, 19]) == pytest.approx((3.6, 0.3080222), abs=1e-6)


def test_every_column_is_explained_and_every_source_has_its_evidence() -> None:
    assert set(columns.COLUMNS) == set(features())
    for entry in citations.known().values():
        assert entry.evidence
        assert licences.hub_name(entry.license) in (entry.license, "unknown")
        assert not entry.bibtex or entry.bibtex.startswith("@")
    kinds = {kind for entry in citations.known().values() for kind in entry.kinds}
    from capcurriculum.recipe.sources import KINDS

    assert kinds == set(KINDS) - {"captions", "problems"}
    assert all(entry.license == (KINDS[k].license or "apache-2.0") or k == "scenes"
               for entry in citations.known().values() for k in entry.kinds)  # fmt: skip


def test_task_categories_are_those_that_the_hub_knows() -> None:
    from datasets.utils.metadata import known_task_ids

    for pictures in (0, 1, 2):
        names = metadata.tasks({"one": [rows.Split("train", 2, pictures, None, 1, 1)]})
        assert names
        assert set(names) <= {*known_task_ids, "image-text-to-text"}


TEXTS = ("problem", "answer", "source", "license", "skill", "stage", "option", "model", "run")
FUZZ = st.fixed_dictionaries(dict.fromkeys(TEXTS, FOREIGN))


def fuzzed(folder: Path, drawn: dict[str, str]) -> None:
    """A card of rows, a recipe and a run all of whose texts are foreign; everything holds that always holds."""
    shutil.rmtree(folder, ignore_errors=True)
    found = [
        card_runs.row(n, **{name: drawn[name] for name in ("problem", "answer", "source", "license", "skill", "stage")},
                      options=[drawn["option"]] * 4, predictions=[drawn["answer"]], images=[])
        for n in range(2)
    ]  # fmt: skip
    found.append(card_runs.row(2, answer="B"))
    model = {"engine": "openai", "base_urls": ["http://127.0.0.1:9/v1"], "model": drawn["model"]}
    given = card_runs.plain(models={name: model for name in ("teacher", "one", "two", "policy")})
    staged = card_runs.staged(folder, card_runs.made(folder, found), given=given)
    said = drawn["run"]
    names = ("stage", "kind", "upstream", "revision")
    card_runs.declare(staged.run, dict.fromkeys(names, said) | {"source": drawn["source"], "splits": [said]})
    rates = [card_runs.rate(said, 9, 8, 1)]
    (staged.run.path / "audit.json").write_text(json.dumps({"askers": [said], "rates": rates}))
    facts = {"capcurriculum": said, "versions": {said: said}, "prompts": {"system": said}}
    (staged.run.path / "run.json").write_text(json.dumps(facts))
    (folder / "order.json").write_text(json.dumps({"order": {"order": said, "by": said, "stages": [said]}}))
    render(staged)
    check(body(staged))
    read = data(staged)
    files = [{"split": "train", "path": "data/train-*.parquet"}]
    assert read.configs == [{"config_name": "default", "data_files": files, "default": True}]
    assert read.dataset_info["splits"][0]["num_examples"] == 3
    assert (folder / "README.md").stat().st_size < 60_000


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(FUZZ)
def test_no_text_breaks_a_card(tmp_path: Path, drawn: dict[str, str]) -> None:
    fuzzed(tmp_path / "card", drawn)


def test_endless_lines_leave_a_card_short(tmp_path: Path) -> None:
    fuzzed(tmp_path / "card", dict.fromkeys(TEXTS, "| ` <b> --- \u202e" * 8_000))


@pytest.mark.slow
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(FUZZ)
@pytest.mark.timeout(900)
def test_no_text_breaks_a_card_at_length(tmp_path: Path, drawn: dict[str, str]) -> None:
    fuzzed(tmp_path / "card", drawn)
