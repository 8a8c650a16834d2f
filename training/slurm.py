"""A Slurm script that trains a recipe: on one node as it is, on several with a Ray cluster of the job's own.

The job runs the same command that a user would, so one that is requeued or sent again goes on where it stopped. Before
its time is up it is told to end (SIGTERM), and leaves a state to resume from. Nothing of the caller's environment goes
into the script, so no token does; modules and environments are for the user to load where the script says.
"""

import shlex
import sys
from pathlib import Path

from capcurriculum.errors import TrainerError
from capcurriculum.recipe.training import TrainingRecipe
from capcurriculum.tables import write_atomically
from training.on_verl import environment

#: Seconds between SIGTERM and the end of the job's time: a save of a large model, and the end of its processes.
_WARNING = 300


def script(recipe: TrainingRecipe, name: str, gpus: int, python: str, words: list[str], folder: Path) -> str:
    """The text of the script.

    Args:
        recipe: says how many nodes and what of Slurm.
        name: of the job.
        gpus: of each node.
        python: the trainer's interpreter.
        words: what follows `capcurriculum`: `train RECIPE ...`.
        folder: where the command runs.
    """
    command = shlex.join([sys.executable, "-m", "capcurriculum.cli", *words])
    lines = ["#!/bin/bash", *_asked(recipe, name, gpus), "set -euo pipefail", ""]
    lines += [
        "# Load modules and set what your site needs here; keep tokens in your own environment, not in this file."
    ]
    lines += [f"cd {shlex.quote(str(folder))}"]
    if recipe.nodes == 1:
        return "\n".join([*lines, f"exec {command}", ""])
    exports = [f"export {key}={shlex.quote(value)}" for key, value in environment.shared().items()]
    exports += [f"export PYTHONPATH={shlex.quote(environment.path())}${{PYTHONPATH:+:$PYTHONPATH}}"]
    return "\n".join([*lines, "", *exports, "", _cluster(python, recipe.nodes, gpus), _GO.replace("COMMAND", command)])


def write(path: Path, text: str) -> None:
    """Write the script.

    Raises:
        TrainerError: another file is there.
    """
    if path.exists() and path.read_text(encoding="utf-8", errors="replace") != text:
        raise TrainerError(f"{path} exists and says something else; remove it or name another file.")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, text.encode())


def _asked(recipe: TrainingRecipe, name: str, gpus: int) -> list[str]:
    slurm = recipe.slurm
    asked = {
        "job-name": name,
        "nodes": recipe.nodes,
        "ntasks-per-node": 1,
        "gpus-per-node": gpus,
        "partition": slurm.partition,
        "account": slurm.account,
        "qos": slurm.qos,
        "time": slurm.time,
        "cpus-per-task": slurm.cpus,
        "mem": slurm.memory,
        "signal": f"B:TERM@{_WARNING}",
        "output": "slurm-%x-%j.log",
        "open-mode": "append",
    }
    lines = [f"#SBATCH --{key}={value}" for key, value in asked.items() if value is not None]
    return [*lines, "#SBATCH --requeue"]


def _cluster(python: str, nodes: int, gpus: int) -> str:
    return f"""ray=({shlex.quote(python)} -m ray.scripts.scripts)
mapfile -t hosts < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
head="${{hosts[0]}}"
at="$(srun --nodes=1 --ntasks=1 --nodelist="$head" hostname --ip-address | awk '{{print $1}}')"
port=$((20000 + SLURM_JOB_ID % 10000))
on() {{ exec srun --overlap --nodes=1 --ntasks=1 --nodelist="$1" "${{@:2}}"; }}  # in the background only

on "$head" "${{ray[@]}}" start --head --node-ip-address="$at" --port="$port" --num-gpus={gpus} --block &
for host in "${{hosts[@]:1}}"; do
  on "$host" "${{ray[@]}}" start --address="$at:$port" --num-gpus={gpus} --block &
done
trap 'kill $(jobs -p) 2>/dev/null || true' EXIT
{shlex.quote(python)} - "$at:$port" {nodes} <<'END'
import sys, time, ray
deadline = time.monotonic() + 600
while True:
    try:
        ray.init(address=sys.argv[1], log_to_driver=False, ignore_reinit_error=True)
        if sum(node["Alive"] for node in ray.nodes()) >= int(sys.argv[2]):
            break
    except ConnectionError:
        pass
    if time.monotonic() > deadline:
        sys.exit("The Ray cluster did not come up within ten minutes.")
    time.sleep(5)
END
"""


_GO = """COMMAND --ray "$at:$port" &
training=$!
trap 'kill -TERM "$training"' TERM
while kill -0 "$training" 2>/dev/null; do wait "$training" && code=0 || code=$?; done
exit "${code:-1}"
"""
