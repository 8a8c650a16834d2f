"""One job side by side: 1,000 captions, a question each, two solvers from image and caption, the paper's rule.

One stub plays all three models with failures, garbage, cut replies and, where that is measured, 1 % of the requests
hanging for 20 s. The tool's own command and the usual script (`peer_script`) do the job one after the other, each in a
process of its own, timed from its start to its end.
"""

import json
import subprocess
import sys
import tempfile
import time
import urllib.request
from functools import cache
from pathlib import Path

import yaml
from PIL import Image

from benchmarks.job_stub import Plan, serving, truth
from capcurriculum.recipe.filter_section import Phase
from capcurriculum.render.progress import Display
from capcurriculum.run import Run, writing
from datagen.flow import Admission, flow
from datagen.probe import probe
from datagen.sources import gather
from datagen.teacher.write import write_questions
from filters import pipeline
from tests.support import worlds

CAPTIONS, CONCURRENCY = 1000, 64
HANGS = Plan(hang=0.01)
ONE = {"model": "one", "k": 1}


def wall_ratio() -> float:
    """Wall time of the tool over that of the script, with hangs."""
    ours, script, _ = _measured()
    print(f"tool {ours[0]:.1f} s, {ours[2]} requests; script {script[0]:.1f} s, {script[2]} requests")
    return ours[0] / script[0]


def wrong_rows() -> float:
    """Rows kept that a perfect client would not keep."""
    return float(len(_measured()[0][1] - _measured()[2]))


def missed_rows() -> float:
    """Rows that a perfect client would keep, and the tool did not."""
    ours, script, wanted = _measured()
    print(
        f"of {len(wanted)} rows the script misses {len(wanted - script[1])}; {len(script[1] - wanted)} of its are wrong"
    )
    return float(len(wanted - ours[1]))


def first_request_seconds() -> float:
    """From the start of the command to its first request."""
    return _measured()[0][3]


def probe_wall_ratio() -> float:
    """Wall time of probing 1,000 questions until decided, in one flow, over asking everything solver by solver."""
    seconds = {}
    with tempfile.TemporaryDirectory() as name, serving(Plan()) as url:
        _docci(Path(name) / "docci")
        for stop in ("never", "decided"):
            wanted = worlds.recipe_over(Path(name), url, {"stop": stop}, text=None, name=stop, rollouts=ONE)
            with writing(wanted) as run:
                at = gather.setting(run, wanted, Display())
                gather.gather(at)
                write_questions(at)
                alive = set(pipeline.run_phase(at, Phase.QUESTION).collect()["question_id"])
                begun = time.perf_counter()
                if stop == "never":
                    probe(at, alive)
                else:
                    flow(at, Admission(alive, alive, lambda _: False))
                seconds[stop] = time.perf_counter() - begun
    print(f"everything, solver by solver: {seconds['never']:.1f} s; until decided: {seconds['decided']:.1f} s")
    return seconds["decided"] / seconds["never"]


def _docci(folder: Path) -> None:
    """Captioned images, no two alike and none so wide that a filter drops it."""
    worlds.docci(folder, CAPTIONS)
    for number, path in enumerate(sorted((folder / "images").iterdir())):
        image = Image.new("RGB", (64 + number % 100, 64 + number // 100), (number % 256, 90, 160))
        image.paste((250, 240, 10), (0, 0, 32, 24))
        image.save(path)


Timed = tuple[float, set[str], int, float]


@cache
def _measured() -> tuple[Timed, Timed, set[str]]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _docci(folder / "docci")
        lines = (folder / "docci" / "docci_descriptions.jsonlines").read_text(encoding="utf-8").splitlines()
        wanted = truth([json.loads(line)["description"] for line in lines])
        return _timed(folder, "tool"), _timed(folder, "script"), wanted


def _timed(folder: Path, who: str) -> Timed:
    with serving(HANGS) as url:
        command = _tool(folder, url) if who == "tool" else _script(folder, url)
        begun = time.perf_counter()
        process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        first = 0.0
        while not first and process.poll() is None:
            first = time.perf_counter() - begun if _asked(url) else 0.0
            time.sleep(0.02)
        out, _ = process.communicate()
        wall, asked = time.perf_counter() - begun, _asked(url)
    if process.returncode:
        raise RuntimeError(f"the {who} ended with {process.returncode}")
    marks = set(json.loads(out)) if who == "script" else _kept(folder)
    return wall, marks, asked, first


def _asked(url: str) -> int:
    with urllib.request.urlopen(f"{url}/asked") as said:
        return int(json.load(said)["asked"])


def _tool(folder: Path, url: str) -> list[str]:
    model = {"engine": "openai", "base_urls": [url], "concurrency": CONCURRENCY}
    data = {
        "name": "job",
        "models": {name: model | {"model": name} for name in ("teacher", "one", "two")},
        "perception": {
            "source": {"kind": "docci", "path": "docci"},
            "teacher": {"model": "teacher"},
            "probe": {"solvers": ["one", "two"], "arms": ["image", "caption"]},
        },
        "rollouts": {"model": "one", "k": 1},
    }
    (folder / "job.yaml").write_text(yaml.safe_dump(data), encoding="utf-8")
    return [sys.executable, "-m", "capcurriculum.cli", "build", "job.yaml"]


def _script(folder: Path, url: str) -> list[str]:
    return [sys.executable, "-m", "benchmarks.peer_script", url, str(folder / "docci"), str(CONCURRENCY)]


def _kept(folder: Path) -> set[str]:
    run = Run(folder / "runs" / "job")
    kept = {v.question_id for v in run.verdicts.rows() if v.filter == "perception" and v.keep}
    return {q.text.split()[-1].rstrip("?") for q in run.questions.rows() if q.question_id in kept}
