"""All-reduce one tensor among the GPUs of this machine, in the trainer's environment.

`python -m torch.distributed.run --standalone --nproc-per-node N -m training.preflight.machine.all_reduce DEVICE`. GPUs
whose NCCL cannot communicate would hang in a training's first update, half an hour in; here that takes a minute.
"""

import sys
from datetime import timedelta

import torch
from torch import distributed

#: Seconds after which processes that cannot reach each other give up.
PATIENCE = 60


def main(device: str) -> None:
    """Sum the ranks' numbers.

    Raises:
        RuntimeError: the sum is wrong, or processes did not reach each other.
    """
    distributed.init_process_group("nccl" if device == "cuda" else "gloo", timeout=timedelta(seconds=PATIENCE))
    rank, size = distributed.get_rank(), distributed.get_world_size()
    if device == "cuda":
        torch.cuda.set_device(rank)
    tensor = torch.full((1 << 20,), float(rank + 1), device=device)
    distributed.all_reduce(tensor)
    if tensor.unique().tolist() != [size * (size + 1) / 2]:
        raise RuntimeError(f"an all-reduce over {size} processes gave {tensor[:3].tolist()}")
    distributed.destroy_process_group()


if __name__ == "__main__":
    main(sys.argv[1])
