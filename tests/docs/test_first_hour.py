"""The first hour: the README's commands on one's own pictures lead to a reviewed, published set that `train` takes."""

from pathlib import Path

import pytest

from tests.support import first_hour
from tests.support.browsers import chromium

pytestmark = pytest.mark.slow


@pytest.mark.timeout(900)
def test_the_readmes_commands_are_the_whole_road(tmp_path: Path) -> None:
    typed = first_hour.commands()
    assert len(typed) <= 10
    with chromium() as browser:
        done = first_hour.walk(tmp_path, browser)
    assert [line for line, _ in done.said] == typed
    said = {line.split()[1]: text for line, text in done.said}
    assert "40 of 40 open" in said["init"]
    preview = done.said[1][1]
    assert preview.count("=== perception: caption") == 5
    assert "What the build will ask" in preview
    assert "people" in said["review"]
    assert "perception  human" in said["build"]
    assert (tmp_path / "here" / "runs" / "photos" / "report.html").is_file()
    assert "photos-Perception-Data at " in said["download"]
    assert said["train"].count("verl.trainer.main_ppo") == 1
    stages = tmp_path / "elsewhere" / "runs" / "photos" / "stages"
    assert sum(1 for _ in stages.glob("perception/*.parquet")) >= 2
