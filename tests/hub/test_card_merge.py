"""A card on the Hub and a new one of ours become one card: theirs stays, ours is right, and twice is once."""

from pathlib import Path

import yaml
from huggingface_hub import DatasetCard
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.publish.card_merge import KEEP, settle

OURS = """---
license: mit
tags: [capcurriculum]
configs:
- config_name: default
  data_files: [{split: train, path: data/train-*.parquet}]
dataset_info:
  config_name: default
  features: [{name: index, dtype: string}]
---

# Ours
"""


def merged(folder: Path, ours: str, theirs: str | None, gone: tuple[str, ...] = ()) -> str:
    path, before = folder / "README.md", folder / "before.md"
    path.write_text(ours, encoding="utf-8")
    if theirs is not None:
        before.write_text(theirs, encoding="utf-8")
    settle(path, before if theirs is not None else None, gone)
    return path.read_text(encoding="utf-8")


def test_configurations_that_were_added_stay_and_ours_are_replaced(tmp_path: Path) -> None:
    theirs = OURS.replace("data/train-*", "old/*").replace("# Ours", "# Old").replace("license: mit", "license: gpl")
    extra = "- config_name: extra\n  default: true\n  data_files: extra/*\n- config_name: gone\n  data_files: gone/*\n"
    theirs = theirs.replace("dataset_info:", f"{extra}language: en\ndataset_info:")
    card = DatasetCard(merged(tmp_path, OURS, theirs, ("gone",)))
    assert [one["config_name"] for one in card.data.configs] == ["default", "extra"]
    assert card.data.configs[0]["data_files"][0]["path"] == "data/train-*.parquet"
    assert "default" not in card.data.configs[1]
    assert (card.data.license, card.data.language) == ("mit", "en")
    assert "# Ours" in card.text
    assert "# Old" not in card.text


def test_text_below_the_line_stays(tmp_path: Path) -> None:
    first = merged(tmp_path, OURS, None)
    assert first.endswith(f"{KEEP}\n")
    second = merged(tmp_path, OURS, first + "\nBy hand, with --- and <!-- comments -->.\n")
    assert second.endswith(f"{KEEP}\nBy hand, with --- and <!-- comments -->.\n")


def test_merging_twice_is_merging_once(tmp_path: Path) -> None:
    theirs = OURS.replace("tags: [capcurriculum]", "tags: [a, b]\npretty_name: Ünïcode: 'x'") + f"\n{KEEP}\nmine\n"
    once = merged(tmp_path, OURS, theirs)
    assert merged(tmp_path, OURS, once) == once


@settings(max_examples=20)
@given(st.text(max_size=200))
def test_a_card_that_nobody_can_read_never_stops_us(tmp_path_factory: object, text: str) -> None:
    folder = tmp_path_factory.mktemp("card")  # type: ignore[attr-defined]
    for theirs in (text, f"---\n{text}\n---\nbody", f"---\n- {text}\n---\n"):
        once = merged(folder, OURS, theirs)
        assert yaml.safe_load(once.split("---\n")[1])["configs"]
        assert "# Ours" in once
        assert merged(folder, OURS, once) == once
