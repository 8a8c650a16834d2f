"""The first hour of a new user: what the README says under "Your own data", typed as it stands there.

Forty pictures with captions, an endpoint on loopback, a Hub on loopback, and a browser that answers the review page.
"""

import os
import re
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from tests.support import endpoint, hub_runs
from tests.support.hub_server import serving

README = Path(__file__).parents[2] / "README.md"
PICTURES = 40
_MODELS = ("Qwen2.5-72B-Instruct", "Qwen3-VL-8B-Instruct")
_COLOURS = ("red", "green", "blue", "white", "black", "yellow", "purple", "orange")


@dataclass
class Hesitating(endpoint.Endpoint):
    """Right from an image now and then, each time that it is asked anew, so that pass rates differ."""

    asked: Counter[str] = field(default_factory=Counter)

    def _choice(self, text: str, options: dict[str, str], has_image: bool) -> str:
        question = text.rstrip().splitlines()[-7]
        with self.lock:
            self.asked[question] += 1
            right = not has_image or endpoint.unit("sees", question, str(self.asked[question])) < self.image_right
        letter = next(key for key, option in options.items() if option.startswith("right") == right)
        return f"<think> I looked. </think> \\boxed{{{letter}}}"


@dataclass(slots=True)
class Walk:
    """What was typed, with the output of each command, and how long all of it took, the browser left out."""

    said: list[tuple[str, str]] = field(default_factory=list)
    seconds: float = 0.0


def commands() -> list[str]:
    """The commands of the README's section, without their comments."""
    section = README.read_text(encoding="utf-8").split("## Your own data")[1].split("\n## ")[0]
    blocks = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    return [line.split(" # ")[0].strip() for block in blocks for line in block.splitlines() if line.strip()]


def photos(folder: Path) -> None:
    """Pictures of a coloured disc on another colour, each with a caption beside it."""
    folder.mkdir(parents=True)
    for number in range(PICTURES):
        ground, colour = _COLOURS[number % 8], _COLOURS[(number + 1 + number // 8) % 8]
        picture = Image.new("RGB", (160, 120), ground)
        place = 8 + number * 2
        ImageDraw.Draw(picture).ellipse((place, 20, place + 50, 70), fill=colour, outline="gray", width=3)
        picture.save(folder / f"IMG_{number:04}.jpg", quality=90)
        text = (
            f"Photo {number}: a {colour} disc with a gray edge on a {ground} wall, {place} pixels from its left end.\n"
        )
        (folder / f"IMG_{number:04}.txt").write_text(text, encoding="utf-8")


def walk(folder: Path, browser: Any) -> Walk:
    """Do what the README says, in `folder` and for the download in a folder beside it.

    Raises:
        AssertionError: a command ended with an error; the message is what it said.
    """
    done, here, elsewhere = Walk(), folder / "here", folder / "elsewhere"
    photos(here / "photos")
    elsewhere.mkdir()
    with (
        endpoint.serving(Hesitating(models=_MODELS, image_right=0.4, most_n=1)) as server,
        serving(folder / "hub") as hub,
    ):
        at, variables = here, hub_runs.environment(hub, folder / "home")
        for line in commands():
            typed = line.replace("http://127.0.0.1:8000/v1", server.url).replace("NAME", "alice")
            at = elsewhere if " download " in typed or at == elsewhere else here
            said, seconds = _typed(typed, at, variables)
            done.said.append((line, said))
            done.seconds += seconds
            if " review export " in typed:
                answer(browser, here / "runs" / "photos" / "review.html", here)
    return done


def _typed(line: str, at: Path, variables: dict[str, str]) -> tuple[str, float]:
    program, *words = line.split()
    assert program == "capcurriculum", line
    # A key would go to the endpoint, and that needs a word of the user's.
    own = {name: value for name, value in os.environ.items() if name != "OPENAI_API_KEY"}
    begun = time.perf_counter()
    ended = subprocess.run(
        [sys.executable, "-m", "capcurriculum.cli", *words],
        cwd=at,
        env=own | {"OMP_NUM_THREADS": "1"} | variables,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert ended.returncode == 0, f"{line}\n{ended.stdout[-3000:]}\n{ended.stderr[-3000:]}"
    return ended.stdout + ended.stderr, time.perf_counter() - begun


def answer(browser: Any, page: Path, folder: Path) -> None:
    """Answer every question of a review page, one key of them wrong, and save the answers where the browser was."""
    shown = browser.new_context(accept_downloads=True).new_page()
    shown.goto(page.as_uri())
    shown.wait_for_selector("html[data-ready]")
    asked = int(shown.text_content("#progress").split(" of ")[1].split()[0])
    for number in range(asked):
        for pressed in ("n", "m") if number == 0 else ("y",):
            shown.keyboard.press(pressed)
        shown.keyboard.press("4")
        shown.keyboard.press("Enter")
    with shown.expect_download() as download:
        shown.keyboard.press("Control+s")
    download.value.save_as(folder / download.value.suggested_filename)
