"""The openai engine against a stub: how fast, at what cost in CPU and memory, and through what storm.

Each measurement runs in a process of its own (`python -m benchmarks.client ...`), so that its CPU time and its memory
are the client's alone; the stub is another process.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks import stub
from benchmarks.processes import peak_mb

IN_FLIGHT = 512
CLIENT_REQUESTS = 6144
CLIENT_DELAY = 1.0
IMAGE_BYTES = 100_000

STORM_ROWS = 4000
STORM_IN_FLIGHT = 64
STORM_DELAY = 0.5
STORM_TIMEOUT = 3.0

TAIL_ROWS = 2000
TAIL_IN_FLIGHT = 64
TAIL_DELAY = 0.5

MEMORY_IMAGE_BYTES = 1_000_000
MEMORY_REQUESTS = (2_000, 20_000)
MEMORY_IN_FLIGHT = 64
#: The interpreter of an environment that holds the peers; see `benchmarks/peer.py`.
PEER_PYTHON = "CAPCURRICULUM_BENCH_PEER_PYTHON"

_measured: dict[str, dict[str, float]] = {}


def requests_per_second() -> float:
    """6,144 requests, 512 in flight, a 100 kB image each (all different), every one answered after 1 s.

    The ideal is 512 a second. Wall time from the first request to the last reply.
    """
    return _client()["per_second"]


def cpu_ms_per_request() -> float:
    """User and system CPU time of the client process over the same requests, start-up left out, a request."""
    return _client()["cpu_ms"]


def peer_requests_per_second() -> float | None:
    """The same requests by datatrove's inference runner (`benchmarks/peer.py`); None without it."""
    return _peer("datatrove", "per_second")


def peer_cpu_ms_per_request() -> float | None:
    """CPU time of datatrove's runner a request; None without it."""
    return _peer("datatrove", "cpu_ms")


def script_requests_per_second() -> float | None:
    """The same requests by `AsyncOpenAI`, a semaphore and `gather` (`benchmarks/peer.py`); None without it."""
    return _peer("openai", "per_second")


def script_cpu_ms_per_request() -> float | None:
    """CPU time of that script a request; None without it."""
    return _peer("openai", "cpu_ms")


def storm_time_ratio() -> float:
    """Time for 4,000 rows through the storm over what its error rates imply.

    The stub answers after d = 0.5 s: 30 % 429, 10 % 500, 5 % garbage, 5 % cut off, and 2 % hang until the client's
    time-out of t = 3 s. An attempt so takes 0.98 d + 0.02 t, a row 1 / (1 - 0.52) attempts if none is ever given up,
    and c = 64 run at once:

        ideal = rows / 0.48 * (0.98 d + 0.02 t) / c    (72 s)

    Pauses, the search for the right load, the last rows' tail and our own time come on top, and are what is measured.
    Every row must come back exactly once, with a reply or with a reason.
    """
    with stub.serving(STORM_DELAY, stub.STORM, seed=7) as url:
        got = _run("storm", url)
    assert got["rows"] == STORM_ROWS == got["keys"], f"rows lost or doubled: {got}"
    assert got["without_reason"] == 0, f"failed without a reason: {got}"
    hanging = stub.STORM.hang
    attempt = (1 - hanging) * STORM_DELAY + hanging * STORM_TIMEOUT
    ideal = STORM_ROWS / (1 - stub.STORM.retried) * attempt / STORM_IN_FLIGHT
    return got["seconds"] / ideal


def tail_seconds() -> float:
    """Seconds from the moment that the last 64 of 2,000 rows are under way to the last reply, 64 in flight.

    The stub answers after 0.5 s, but one request in a hundred after 20 s, however often it is sent.
    """
    with stub.serving(TAIL_DELAY, stub.Faults(slow=0.01), seed=3) as url:
        got = _run("tail", url)
    assert got["rows"] == TAIL_ROWS == got["keys"], f"rows lost or doubled: {got}"
    assert got["hedged"] <= TAIL_ROWS / 10, f"more than a tenth was sent again: {got}"
    print(f"{got['hedged']:.0f} requests were sent again")
    return got["tail"]


def request_memory_growth_mb() -> float:
    """Growth of the client's peak resident memory from 2,000 to 20,000 requests of a 1 MB image each, all different."""
    peaks = []
    for count in MEMORY_REQUESTS:
        with stub.serving(0.0) as url:
            peaks.append(_run("memory", url, str(count))["peak_mb"])
    return max(0.0, peaks[1] - peaks[0])


def _client() -> dict[str, float]:
    if "client" not in _measured:
        with stub.serving(CLIENT_DELAY) as url:
            _measured["client"] = _run("client", url)
    return _measured["client"]


def _peer(who: str, key: str) -> float | None:
    python = os.environ.get(PEER_PYTHON)
    if not python or subprocess.run([python, "-c", f"import {who}"], capture_output=True).returncode:
        return None
    if who not in _measured:
        with stub.serving(CLIENT_DELAY) as url:
            command = [python, str(Path(__file__).with_name("peer.py")), who, url]
            command += [str(n) for n in (CLIENT_REQUESTS, IN_FLIGHT, IMAGE_BYTES)]
            printed = subprocess.run(command, check=True, capture_output=True, text=True, timeout=600).stdout
            _measured[who] = json.loads(printed.splitlines()[-1])
    return _measured[who][key]


def _run(*arguments: str) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.client", *arguments]
    found: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return found


# What runs in the measured process


def _requests(count: int, image_bytes: int, folder: Path, kept: int) -> Iterator[Any]:
    """Requests with an image each, written when the request is taken and removed `kept` requests later."""
    from capcurriculum.rows import Message, Request, Sampling

    noise = os.urandom(image_bytes)
    turns = (Message("user", "What is in the picture?", images=1),)
    for number in range(count):
        path = folder / f"{number}.jpg"
        path.write_bytes(b"\xff\xd8" + number.to_bytes(8) + noise[10:])
        (folder / f"{number - kept}.jpg").unlink(missing_ok=True)
        yield Request.make("m", turns, Sampling(max_tokens=8), images=((str(number), str(path)),))


def _ask(url: str, requests: Iterator[Any], **changes: Any) -> dict[str, float]:
    from capcurriculum.recipe.models import ModelSection
    from datagen import engines

    section = ModelSection(engine="openai", model="m", base_urls=(url,), **changes)
    keys, rows, without_reason, times = set(), 0, 0, []
    with engines.create(section) as engine:
        begun, cpu = time.perf_counter(), time.process_time()
        for response in engine.stream(requests):
            rows += 1
            times.append(time.perf_counter())
            keys.add(response.key)
            without_reason += response.finish == "error" and not response.error
        seconds, cpu = time.perf_counter() - begun, time.process_time() - cpu
        hedged = engine.traffic.hedged
    return {
        "rows": rows,
        "keys": len(keys),
        "without_reason": without_reason,
        "seconds": seconds,
        "tail": times[-1] - times[-1 - section.concurrency] if rows > section.concurrency else seconds,
        "hedged": hedged,
        "per_second": rows / seconds,
        "cpu_ms": 1000 * cpu / rows,
        "peak_mb": peak_mb(),
    }


def _texts(count: int) -> Iterator[Any]:
    from capcurriculum.rows import Message, Request, Sampling

    return (Request.make("m", (Message("user", f"{n}?"),), Sampling(max_tokens=8)) for n in range(count))


def _main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.client", description=__doc__)
    parser.add_argument("what", choices=["client", "storm", "tail", "memory"])
    parser.add_argument("url")
    parser.add_argument("count", type=int, nargs="?")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        match given.what:
            case "client":
                # Files are written before the clock starts: a build's images lie there already.
                prepared = list(_requests(CLIENT_REQUESTS, IMAGE_BYTES, Path(folder), kept=CLIENT_REQUESTS))
                found = _ask(given.url, iter(prepared), concurrency=IN_FLIGHT)
            case "storm":
                options = {"concurrency": STORM_IN_FLIGHT, "timeout_seconds": STORM_TIMEOUT}
                found = _ask(given.url, _texts(STORM_ROWS), **options)
            case "tail":
                found = _ask(given.url, _texts(TAIL_ROWS), concurrency=TAIL_IN_FLIGHT)
            case _:
                requests = _requests(given.count, MEMORY_IMAGE_BYTES, Path(folder), kept=500)
                found = _ask(given.url, requests, concurrency=MEMORY_IN_FLIGHT)
    print(json.dumps(found))


if __name__ == "__main__":
    _main()
