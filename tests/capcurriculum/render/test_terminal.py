"""Nothing that is not ours reaches a terminal but through one function."""

import ast
import io
import logging
import os
import re
import subprocess
import sys
import warnings

import pytest
from rich.console import Console
from rich.text import Text

from capcurriculum import cli
from capcurriculum.render import terminal
from capcurriculum.render.progress import Display
from tests.support import ROOT

ROOMS = ("capcurriculum", "datagen", "filters", "curricula", "training", "cards", "evaluation")
#: Programs that a process of ours starts and whose standard output it reads, and one that makes the checkpoints.
PROGRAMS = {
    "datagen/micro/evaluate.py",
    "evaluation/vlmevalkit/hits.py",
    "evaluation/vlmevalkit/match.py",
    "training/on_verl/compose.py",
    "training/on_verl/patches/fork_server.py",
    "training/on_verl/freeze.py",
    "training/preflight/machine/nodes.py",
    "training/preflight/machine/probe.py",
    "training/checkpoints/rewriting.py",
    "training/checkpoints/verify.py",
}
#: A console that shows nothing, and the one place where consoles are made.
SILENT = {"datagen/distributed/worker.py", "capcurriculum/render/terminal.py"}
UNSEEN = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")
HOSTILE = "a\x1b]0;title\x07\x1b[2J\rb\u202ec\x9bd\u2028e\ufefff\udc80g"


def test_only_one_module_prints() -> None:
    found = set()
    for path in (path for room in ROOMS for path in (ROOT / room).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            name = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
            if name in ("print", "Console"):
                found.add(path.relative_to(ROOT).as_posix())
    assert found == PROGRAMS | SILENT


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text, é 語 👩\u200d🔬", "plain text, é 語 👩\u200d🔬"),
        ("\x1b[2J", r"\x1b[2J"),
        ("\x1b]52;c;aGk=\x07", r"\x1b]52;c;aGk=\x07"),
        ("two\nlines", r"two\nlines"),
        ("over\rwritten", r"over\rwritten"),
        ("\u202eevil", r"\u202eevil"),
        ("\x9b31m", r"\x9b31m"),
        ("a\u2028b\ufeff", r"a\u2028b\ufeff"),
        ("\ud800", r"\ud800"),
        ("non\xa0breaking", "non\xa0breaking"),
    ],
)
def test_what_has_no_shape_is_written_out(text: str, shown: str) -> None:
    assert terminal.visible(text) == shown
    assert terminal.visible(shown) == shown


def test_a_sentence_is_bounded_and_keeps_its_end() -> None:
    said = terminal.sentence("key " + "x" * 100_000 + "; take it out.")
    assert len(said) < 4_200
    assert said.endswith("; take it out.")


def test_consoles_show_nothing_unseen_and_take_nothing_for_markup(capsys: pytest.CaptureFixture[str]) -> None:
    out = terminal.console()
    out.print(HOSTILE)
    out.print(Text(HOSTILE))
    out.print("[red]no markup[/nothing] :smile:")
    printed = capsys.readouterr().out
    assert not UNSEEN.search(printed)
    assert "[red]no markup[/nothing] :smile:" in printed


def test_colours_of_ours_reach_a_terminal() -> None:
    out = Console(file=io.StringIO(), force_terminal=True, color_system="standard")
    out.push_render_hook(terminal._Hook())  # type: ignore[arg-type]
    out.print(Text("\x1b[31mx", "bold"))
    assert out.file.getvalue() == "\x1b[1m\\x1b[31mx\x1b[0m\n"  # type: ignore[attr-defined]


@pytest.mark.parametrize("live", [True, False])
def test_names_of_steps_are_no_markup_and_no_escapes(live: bool) -> None:
    file = io.StringIO()
    display = Display(Console(file=file, force_terminal=live, color_system=None))
    with display.step("teach [/x] \x1b]0;t\x07", 1, remark=lambda: "\x1b[5m1 failed") as advance:
        advance(1)
    assert "[/x] \\x1b]0;t\\x07" in file.getvalue()
    assert "\x1b]" not in file.getvalue()
    assert "\x1b[5m" not in file.getvalue()


def test_words_on_the_command_line_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["status", "x", HOSTILE.replace("\udc80", "")]) == 2
    assert not UNSEEN.search(capsys.readouterr().err)
    assert cli.main(["status", HOSTILE]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert not UNSEEN.search(said)


LIBRARY = """
import logging, sys, warnings
from capcurriculum.render import terminal
terminal.guard()
logging.basicConfig(stream=sys.stderr)
logging.warning("server said %s", "\\x1b[2J\\rfine")
warnings.warn("\\x1b]0;t\\x07")
print("\\u2713")
"""


def test_logs_and_warnings_of_libraries_are_shown_and_a_poor_encoding_fails_nothing() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LIBRARY],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
    )
    assert done.returncode == 0, done.stderr
    assert r"server said \x1b[2J\rfine" in done.stderr
    assert r"\x1b]0;t\x07" in done.stderr
    assert done.stdout == "\\u2713\n"


def test_a_guard_changes_no_plain_words(logged: list[str]) -> None:
    factory, formatted = logging.getLogRecordFactory(), warnings.formatwarning
    try:
        terminal.guard()
        logging.getLogger("some").warning("%d of %s", 3, "é")
    finally:
        logging.setLogRecordFactory(factory)
        warnings.formatwarning = formatted
    assert logged == ["3 of é"]


def test_a_reader_that_goes_away_is_no_error() -> None:
    code = "from capcurriculum import cli\nfrom capcurriculum.render import terminal\n"
    code += "raise SystemExit(cli.exit_with(lambda: terminal.say(*['x' * 999] * 999)))"
    pipe = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT)
    assert pipe.stdout is not None
    assert pipe.stdout.read(10) == b"x" * 10
    pipe.stdout.close()
    assert pipe.stderr is not None
    assert pipe.stderr.read() == b""
    pipe.stderr.close()
    assert pipe.wait(timeout=60) == 141
