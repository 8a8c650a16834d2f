"""The last net of the command line: bugs, full disks, readers that go away; and what stays behind each."""

import errno
import os
import resource
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from capcurriculum import cli, unforeseen
from capcurriculum.rows import Verdict
from capcurriculum.run import Run
from capcurriculum.tables import Table, write_atomically
from tests.support import ROOT, report_runs

FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def broken() -> None:
    raise ZeroDivisionError("a bug")


def command(*words: str, at: Path, limit: int | None = None) -> "subprocess.Popen[str]":
    """The command line in a process of its own, which may write files of `limit` bytes at most."""

    def limited() -> None:
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    return subprocess.Popen(
        [sys.executable, "-m", "capcurriculum.cli", *words], cwd=at, text=True, preexec_fn=limited,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip


def test_a_bug_is_a_sentence_and_its_traceback_a_file_of_its_owner_in_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    unforeseen.remember(tmp_path)
    assert cli.exit_with(broken) == 70
    (kept,) = tmp_path.glob("traceback-*.txt")
    assert str(kept) in capsys.readouterr().err
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert 'raise ZeroDivisionError("a bug")' in kept.read_text()


def test_a_traceback_goes_into_the_temporary_folder_where_there_is_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    unforeseen.remember(tmp_path / "gone")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert cli.exit_with(broken) == 70
    assert str(next(tmp_path.glob("traceback-*.txt"))) in capsys.readouterr().err
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    assert cli.exit_with(broken) == 70
    assert "could not be written anywhere" in capsys.readouterr().err


@pytest.mark.parametrize("kind", [SystemExit, GeneratorExit])
def test_what_ends_a_process_on_purpose_passes(kind: type[BaseException]) -> None:
    def work() -> None:
        raise kind

    with pytest.raises(kind):
        cli.exit_with(work)


def test_an_interrupt_is_told_as_one(capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> None:
        raise KeyboardInterrupt

    assert cli.exit_with(work) == 130
    assert "Stopped" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["query", "planted", "from range(200000)", "--csv"], ["why", "planted", "c0"]])
def test_a_reader_that_goes_away_ends_a_command_quietly(tmp_path: Path, words: list[str]) -> None:
    report_runs.make(tmp_path, 4, images=1)
    process = command(*words, at=tmp_path)
    assert process.stdout is not None
    process.stdout.close()  # as `head` does once it has enough
    assert process.stderr is not None
    assert process.stderr.read() == ""
    assert process.wait() == 141  # as a shell says


def test_a_full_disk_is_a_sentence_and_the_next_run_goes_on(tmp_path: Path) -> None:
    report_runs.make(tmp_path, 40, images=2)
    order = ("curriculum", "planted", "--order", "merged")
    process = command(*order, at=tmp_path, limit=8_000)
    _, said = process.communicate()
    assert process.returncode == 2, said
    assert "Nothing more can be written" in said
    assert "make room and run the same command again" in said
    assert "Traceback" not in said
    process = command(*order, at=tmp_path)
    out, said = process.communicate()
    assert process.returncode == 0, said
    assert (tmp_path / "planted" / "curricula" / "merged" / "order.json").is_file(), out
    assert not list((tmp_path / "planted").glob("**/.tmp-*"))


def test_what_a_full_disk_cut_short_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = Table(tmp_path / "verdicts", Verdict)
    table.append([Verdict("a", "text", "source", True, "kept")])

    def full(handle: int) -> None:
        raise FULL

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space"):
            table.append([Verdict("b", "text", "source", True, "kept")])
        with pytest.raises(OSError, match="No space"):
            write_atomically(tmp_path / "run.json", b"{}")
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["part-000000.parquet"]
    assert table.append([Verdict("b", "text", "source", True, "kept")]) == 1
    assert table.count() == 2


def test_an_event_behind_a_torn_one_has_a_line_of_its_own(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.event("one")
    with (tmp_path / "events.jsonl").open("a") as file:
        file.write('{"event": "tor')
    run.event("two")
    assert [event["event"] for event in run.events()] == ["one", "two"]


def test_half_a_character_of_a_reply_is_written_as_none(tmp_path: Path) -> None:
    table = Table(tmp_path / "verdicts", Verdict)
    table.append([Verdict("a", "text", "source", True, "kept", "a \ud83d b", ("\udcff", "\ud83d\ude00"))])
    (row,) = table.rows()
    assert (row.detail, row.evidence) == ("a \ufffd b", ("\ufffd", "\U0001f600"))
