"""Scripts in a trainer's environment: forks of one process that has imported verl, which takes it a dozen seconds."""

import atexit
import json
import os
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

from training.on_verl import environment

#: Runs what it is told, a line of JSON each, one after the other, and answers with the exit code.
_SERVER = """
import json, os, runpy, sys
import numpy, torch, transformers, verl
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from verl.utils.dataset import multiturn_sft_dataset, rl_dataset
def run(folder, words):
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(f"{folder}/{name}", os.O_WRONLY | os.O_CREAT), number)
    sys.argv = ["-c", *words]
    code = 1
    try:
        runpy.run_path(f"{folder}/script.py", run_name="__main__")
        code = 0
    except SystemExit as ended:
        code = ended.code or 0
    except BaseException:
        import traceback
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
for line in sys.stdin:
    child = os.fork()
    if not child:
        run(*json.loads(line))
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), file=answers, flush=True)
"""


@cache
def _server() -> "subprocess.Popen[str]":
    """The process of this one's tests, which ends with it."""
    process = subprocess.Popen(
        [sys.executable, "-c", _SERVER],
        env=environment.trainer_environment("cpu"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    atexit.register(process.kill)
    return process


def ran(script: str, *words: str | os.PathLike[str]) -> str:
    """What a script prints that is given `words`; it has failed where it ends with an error."""
    server = _server()
    assert server.stdin is not None
    assert server.stdout is not None
    with tempfile.TemporaryDirectory(prefix="capcurriculum-script-") as name:
        folder = Path(name)
        (folder / "script.py").write_text(script, encoding="utf-8")
        try:
            server.stdin.write(json.dumps([name, [*map(os.fspath, words)]]) + "\n")
            server.stdin.flush()
            code = server.stdout.readline().strip()
        except BaseException:  # its answer would be taken for the next one's
            server.kill()
            _server.cache_clear()
            raise
        assert code == "0", f"exit code {code}: {(folder / 'err').read_text(errors='replace')[-3000:]}"
        return (folder / "out").read_text(encoding="utf-8")
