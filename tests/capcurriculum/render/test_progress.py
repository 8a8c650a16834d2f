"""The lines of a step where there is no terminal, and on one."""

import io
import threading

import pytest
from rich.console import Console

from capcurriculum.render import progress
from capcurriculum.render.progress import Display


def test_the_last_line_says_what_is_to_be_said_beside_the_count() -> None:
    out = io.StringIO()
    with Display(Console(file=out)).step("probe, one", 4, 1, lambda: "3 failed, 41 retried") as advance:
        advance(3)
    assert out.getvalue().startswith("probe, one: 4 of 4 (1 from before), ")
    assert out.getvalue().endswith(" s, 3 failed, 41 retried\n")


def test_nothing_is_added_where_there_is_nothing_to_say() -> None:
    out = io.StringIO()
    with Display(Console(file=out)).step("probe, one", 4, remark=lambda: "") as advance:
        advance(4)
    assert out.getvalue().endswith(" s\n")


def test_what_is_new_is_said_while_no_row_is_finished(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "PLAIN_SECONDS", 0.01)
    said, remark = threading.Event(), ["", "1 retried"]

    class Out(io.StringIO):
        def write(self, text: str) -> int:
            if "1 retried" in text:
                said.set()
            return super().write(text)

    out = Out()
    with Display(Console(file=out)).step("teacher", 4, remark=lambda: remark[-1]):
        assert said.wait(20)
    assert out.getvalue().startswith("teacher: 0 of 4, 0 s, 1 retried\n")
    assert not [thread for thread in threading.enumerate() if thread.name == "progress"]


def test_a_terminal_shows_it_beside_the_count() -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=120)
    with Display(console).step("probe, one", 4, remark=lambda: "3 failed") as advance:
        advance(4)
    assert "3 failed" in out.getvalue()


def test_a_step_says_how_fast_it_goes_and_how_long_the_rest_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    out = io.StringIO()
    with Display(Console(file=out)).step("rollout, policy", 400, 100) as advance:
        now[0] += 6
        advance(60)
        now[0] += 6
        advance(240)
    going, ended = out.getvalue().splitlines()
    assert going == "rollout, policy: 160 of 400, 6 s, 10.0 rows/s, 0:00:24 left"
    assert ended == "rollout, policy: 400 of 400 (100 from before), 12.0 s, 25.0 rows/s"
