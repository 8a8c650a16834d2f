"""Processes of one machine find one another on loopback alone."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from training.on_verl import environment, sft

_PROGRAM = """
import json, psutil, torch, torch.distributed as dist
dist.init_process_group("gloo")
total = torch.ones(2)
dist.all_reduce(total)
here = psutil.Process()
processes = [here, here.parent()] if "torch.distributed.run" in here.parent().cmdline() else [here]
heard = {one.laddr.ip for each in processes for one in each.net_connections() if one.status == "LISTEN"}
if dist.get_rank() == 0:
    print(json.dumps({"heard": sorted(heard), "sum": total.tolist()}))
dist.destroy_process_group()
"""


@pytest.fixture
def program(tmp_path: Path) -> str:
    written = tmp_path / "one.py"
    written.write_text(_PROGRAM)
    return str(written)


@pytest.mark.parametrize("patched", [True, False])
def test_the_store_listens_on_loopback(program: str, patched: bool) -> None:
    said = _heard([sys.executable, program], patched, MASTER_ADDR="127.0.0.1", RANK="0", WORLD_SIZE="1")
    assert said["sum"] == [1.0, 1.0]
    assert (set(said["heard"]) == {"127.0.0.1"}) == patched


def test_training_on_captions_listens_on_loopback(program: str) -> None:
    command = sft.command(sys.executable, 2, [])
    said = _heard([*command[: command.index("verl.trainer.sft_trainer") - 1], program], True)
    assert said == {"heard": ["127.0.0.1"], "sum": [2.0, 2.0]}


def _heard(command: list[str], patched: bool, **variables: str) -> dict[str, list[object]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        variables["MASTER_PORT"] = str(probe.getsockname()[1])
    alone = environment.ALONE | {"PYTHONPATH": environment.path() if patched else "", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | alone | variables, check=False)
    assert done.returncode == 0, done.stderr
    said: dict[str, list[object]] = json.loads(done.stdout.splitlines()[-1])
    return said
