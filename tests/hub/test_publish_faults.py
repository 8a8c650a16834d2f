"""Whatever fails on the way, a publication ends read back or in one sentence, and the repo is never half of one."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from capcurriculum.errors import HubError
from capcurriculum.render.progress import Display
from capcurriculum.run import Run
from hub.patience import Patience
from hub.publish.run import Wanted, publish
from tests.support import hub_runs
from tests.support.hub_server import Fault, Served, serving
from tests.support.hub_server.faults import Kind

NAME = "alice/small-VisualReasoning-Data"
PATIENCE = Patience(tries=3, max_retry_after=5, sleep=lambda seconds: None)
#: Every request of a publication, as the server logs them, and what it is for.
ROUTES = {
    "whoami": r"GET /api/whoami-v2",
    "exists": rf"GET /api/datasets/{NAME}$",
    "info": rf"GET /api/datasets/{NAME}/revision/",
    "create": r"POST /api/repos/create",
    "tree": rf"GET /api/datasets/{NAME}/tree/",
    "preupload": rf"POST /api/datasets/{NAME}/preupload/",
    "batch": r"POST /datasets/.*\.git/info/lfs/objects/batch",
    "put": r"PUT /lfs/",
    "verify": r"POST /lfs/verify",
    "yaml": r"POST /api/validate-yaml",
    "commit": rf"POST /api/datasets/{NAME}/commit/",
    "resolve": rf"(?:GET|HEAD) /datasets/{NAME}/resolve/",
    "cdn": r"GET /cdn/",
    "refs": rf"GET /api/datasets/{NAME}/refs",
    "tag": rf"POST /api/datasets/{NAME}/tag/",
    "collection": r"POST /api/collections$",
    "item": r"POST /api/collections/.*/items",
}
#: Those at which answers mean most.
WRITING = ("create", "preupload", "put", "commit", "resolve", "collection")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return hub_runs.build(tmp_path_factory.mktemp("run"), stages=("visual",))


def put(run: Run) -> str:
    """Publish; the sentence it ended in, "" when it came through."""
    try:
        publish(run, Wanted(tag="v1"), Display(), PATIENCE)
    except HubError as error:
        return str(error)
    return ""


def whole(served: Served) -> bool:
    """Whether the repo holds a publication; a part of one fails the test."""
    if ("dataset", NAME) not in served.hub.repos:
        return False
    files = served.hub.files(NAME)
    if set(files) == {".gitattributes"}:
        return False
    shards = set(json.loads(files["order.json"])["published"]["files"])
    assert {name for name in files if name.endswith(".parquet")} == shards
    assert {"README.md", "recipe.yaml", "funnel.json"} <= set(files)
    return True


def test_every_request_of_a_publication_has_its_fault_here(run: Run, served: Served) -> None:
    import re

    assert put(run) == ""
    asked = {line.rpartition(" ")[0] for line in served.asked()}
    assert not [line for line in asked if not any(re.search(route, line) for route in ROUTES.values())]
    assert not [route for route in ROUTES.values() if not any(re.search(route, line) for line in asked)]


@pytest.mark.parametrize(
    ("kind", "status"), [("status", 500), ("status", 503), ("status", 429), ("drop", 0), ("cut", 0), ("lost", 0)]
)
def test_a_fault_at_every_request_is_overcome(run: Run, served: Served, kind: Kind, status: int) -> None:
    faults = [Fault(route, kind=kind, status=status, headers={"Retry-After": "0"}) for route in ROUTES.values()]
    served.fail(*faults)
    while sentence := put(run):  # what neither the client nor we try again is left to whoever runs us again
        assert "\n" not in sentence
        whole(served)
    assert whole(served)
    assert served.hub.commits(NAME) == ["capcurriculum: visual of small", "initial commit"]


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("route", "status"),
    [
        *((route, status) for route in WRITING for status in (401, 403, 409, 412, 429, 500)),
        *((route, status) for route in sorted(set(ROUTES) - set(WRITING)) for status in (403, 500)),
    ],
)
def test_a_fault_that_stays_ends_in_one_sentence(run: Run, served: Served, route: str, status: int) -> None:
    fault = Fault(ROUTES[route], status=status, times=10**6, headers={"Retry-After": "0"})
    served.fail(fault)
    if sentence := put(run):
        assert sentence.endswith(".")
        assert "\n" not in sentence
        assert "hf_write" not in sentence
        whole(served)
    else:  # a client that knows what the answer means: 409 of what exists is no error
        assert whole(served)
    assert fault.met
    served.fail()
    assert put(run) == ""
    assert whole(served)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("xet", [False, True])
def test_a_killed_publication_goes_on_and_sends_no_shard_twice(tmp_path: Path, xet: bool) -> None:
    run = hub_runs.build(tmp_path / "run", rows=30, side=600, stages=("visual", "perception"))
    shards = [path for path in run.stages.glob("*/train-*")]
    with serving(tmp_path / "server") as served:
        environment = os.environ | hub_runs.environment(served, tmp_path / "home")
        environment["HF_HUB_DISABLE_XET"] = "0" if xet else "1"
        command = [sys.executable, "-m", "capcurriculum.cli", "publish", str(run.path)]
        served.fail(Fault(r"PUT /lfs/put|POST /cas/v1/xorbs", kind="slow", skip=2, times=1))
        process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
        while not served.faults.waiting[0].met and process.poll() is None:
            time.sleep(0.01)
        time.sleep(0.2)
        process.send_signal(signal.SIGKILL)
        process.wait()
        first = uploaded(served)
        assert not any(name.endswith(".parquet") for name in served.hub.files("alice/small-VisualReasoning-Data"))
        served.faults.clear()
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-2000:]
        total = sum(path.stat().st_size for path in run.stages.glob("*/*-0*.parquet"))
        again = first + uploaded(served) - total
        assert again <= max(path.stat().st_size for path in shards) * 1.1
        assert "hf_write" not in done.stderr + done.stdout


def uploaded(served: Served) -> int:
    """Bytes of contents that came, those of broken requests included."""
    return sum(size for path, size in served.faults.received.items() if "/lfs/put" in path or "/xorbs/" in path)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("part_bytes", [0, 200_000])
@pytest.mark.parametrize("xet", [False, True])
def test_contents_go_whole_in_parts_and_through_xet(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, xet: bool, part_bytes: int
) -> None:
    with serving(tmp_path / "server", part_bytes) as served:
        hub_runs.connect(monkeypatch, served, tmp_path / "home", xet=xet)
        large = hub_runs.build(tmp_path / "large", rows=12, side=400, stages=("visual",))
        publish(large, Wanted(), Display(), PATIENCE)
        assert bool(served.asked("/cas/")) == xet
        assert bool(served.asked("/lfs/part")) == (not xet and part_bytes > 0)


@pytest.mark.slow
@pytest.mark.timeout(200)
def test_a_storage_that_only_fails_ends_within_bounds(tmp_path: Path) -> None:
    """hf_xet by itself goes on for more than five minutes."""
    run = hub_runs.build(tmp_path / "run", stages=("visual",))
    with serving(tmp_path / "server") as served:
        environment = os.environ | hub_runs.environment(served, tmp_path / "home")
        served.fail(Fault(r"POST /cas/v1/xorbs", status=500, times=10**6))
        command = [sys.executable, "-m", "capcurriculum.cli", "publish", str(run.path)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=180)
        assert done.returncode == 2, done.stderr[-2000:]
        assert done.stderr.splitlines()[-1].startswith("error: Cannot send")
        assert "Traceback" not in done.stderr
