"""A build killed (-9) twenty times: is what it had written still there in the end, and is anything there twice?

Half of the kills come at random moments of the build, half inside a flush: at a file drawn at random, with half of its
temporary file written, or all of it but under its temporary name, or just after it got its real name. After each kill
the same command goes on; a build that gets to its end is compared with an undisturbed one, and another is begun. The
endpoint is that of the tests, slowed down so that kills meet requests in flight, and shards are small so that there are
many flushes.

And what does a kill cost: how many requests are sent a second time?
"""

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from benchmarks.road import TABLES
from capcurriculum import cli, recipe, tables
from capcurriculum.run import Run
from datagen.asking import ask_missing
from datagen.sources import gather
from tests.support import endpoint, worlds

KILLS, SEED = 20, 5
FLUSH_ROWS = 16
MOMENTS = ("half", "unnamed", "named")
#: The build that is killed half-way: captions, requests to teacher and solvers, how many at once to each, their delay.
CAPTIONS, REQUESTS, IN_FLIGHT, DELAY_SECONDS = 1000, 5000, 32, 0.2
#: What a reply cost depends on which others were asked for in the same request, and so on the kills.
COSTS = ("tokens_in", "tokens_out")


def lost_rows() -> float:
    """Rows lost, changed or doubled.

    Lost is what was in a table after some kill and is not in the end; the rest is told by an undisturbed build.
    """
    draw = random.Random(SEED)
    kills: Counter[str] = Counter()
    lost = rounds = 0
    with tempfile.TemporaryDirectory() as name, endpoint.serving(endpoint.Endpoint(delay_seconds=0.05)) as server:
        folder = Path(name)
        worlds.docci(folder / "docci", images=40)
        worlds.problems(folder / "text", count=60)
        begun = time.perf_counter()
        wanted = _rows(Run(_build(folder, server.url, "clean", "", None)[0]))
        whole = time.perf_counter() - begun
        while kills.total() < KILLS:
            rounds += 1
            lost += _round(folder, server.url, f"killed-{rounds}", whole, draw, kills, wanted)
    print(f"{kills.total()} kills over {rounds} builds of {wanted.total()} rows; what was there last: {dict(kills)}")
    return float(lost)


def repeated_answers() -> float:
    """Requests that are sent twice when a build of 1,000 captions, a teacher and two solvers is killed half-way.

    32 are in flight to each of the three, and those are lost by the kill whatever is written down. Shards are as large
    as ever.
    """
    server = endpoint.Endpoint(delay_seconds=DELAY_SECONDS)
    with tempfile.TemporaryDirectory() as name, endpoint.serving(server):
        folder = Path(name)
        worlds.docci(folder / "docci", images=CAPTIONS)
        worlds.problems(folder / "text", count=8)
        file = folder / "killed.yaml"
        model = {"engine": "openai", "base_urls": [server.url], "concurrency": IN_FLIGHT}
        models = {one: model | {"model": one} for one in ("teacher", "one", "two", "policy")}
        wanted = worlds.recipe_over(folder, server.url, name="killed", models=models)
        file.write_text(recipe.dump(wanted), encoding="utf-8")
        command = [sys.executable, "-m", "capcurriculum.cli", "build", str(file)]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        while len(server.requests) < REQUESTS // 2 and process.poll() is None:
            time.sleep(0.01)
        process.kill()
        process.wait()
        before = len(server.requests)
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        sent = Counter(json.dumps(body) for body in server.requests if body["model"] != "policy")
    print(f"killed after {before} of {sent.total()} requests")
    return float(sum(times - 1 for times in sent.values()))


def _round(
    folder: Path, url: str, name: str, whole: float, draw: random.Random, kills: Counter[str], wanted: Counter[str]
) -> int:
    """One build killed until it is done or there were kills enough, then finished; what is wrong with it."""
    seen: set[str] = set()
    while kills.total() < KILLS:
        flush = f"{draw.choice(MOMENTS)}:{draw.randrange(2, 10)}" if kills.total() % 2 else ""
        path, killed = _build(folder, url, name, flush, None if flush else draw.uniform(0.2, 0.9) * whole)
        seen |= set(_rows(Run(path)))
        if not killed:
            break
        kills[_latest(path)] += 1
    path, _ = _build(folder, url, name, "", None)
    ended = _rows(Run(path))
    return sum(row not in ended for row in seen) + (ended - wanted).total() + (wanted - ended).total()


def _build(folder: Path, url: str, name: str, flush: str, seconds: float | None) -> tuple[Path, bool]:
    """Run the build until it kills itself in a flush, is killed after `seconds`, or is done; its run, and if killed."""
    model = {"engine": "openai", "base_urls": [url], "concurrency": 8, "max_n": 4}
    models = {one: model | {"model": one} for one in ("teacher", "one", "two", "policy")}
    wanted = worlds.recipe_over(folder, url, name=name, models=models, rollouts={"model": "policy", "k": 8})
    file = folder / f"{name}.yaml"
    file.write_text(recipe.dump(wanted), encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.kills", str(file), flush],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        _, said = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        _, said = process.communicate()
    if process.returncode not in (0, -signal.SIGKILL):
        raise RuntimeError(f"the build failed: {said}")
    return wanted.run_dir, process.returncode != 0


def _rows(run: Run) -> Counter[str]:
    """Every row of every table with its count; stage files are derived from them."""
    rows: Counter[str] = Counter()
    for name in TABLES:
        frame = getattr(run, name).frame().drop(COSTS, strict=False)
        rows.update(name + json.dumps(row) for row in frame.to_dicts())
    return rows


def _latest(path: Path) -> str:
    """The table that was written to last."""
    shards = [shard for name in TABLES for shard in (path / name).glob("*.parquet")]
    return max(shards, key=lambda shard: shard.stat().st_mtime_ns).parent.name if shards else "nothing"


def main() -> int:
    """A build with small shards that kills itself at the flush it is told: `FILE MOMENT:NUMBER`, or `FILE ''`."""
    file, flush = sys.argv[1:]
    ask_missing.FLUSH_ROWS = gather.FLUSH_ROWS = FLUSH_ROWS
    if flush:
        moment, number = flush.split(":")
        _die_at(moment, int(number))
    return cli.main(["build", file])


def _die_at(moment: str, number: int) -> None:
    publish, count = tables.publish, 0

    def deadly(temporary: Path, path: Path) -> None:
        nonlocal count
        count += 1
        if count == number and moment == "half":
            os.truncate(temporary, temporary.stat().st_size // 2)
        if count < number or moment == "named":
            publish(temporary, path)
        if count == number:
            os.kill(os.getpid(), signal.SIGKILL)

    tables.publish = deadly


if __name__ == "__main__":
    raise SystemExit(main())
