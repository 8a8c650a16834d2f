"""Numbers by which the mends of verl are tested: `python -m tests.support.mends_check PART CHECKPOINT mended|plain`.

Each part works in processes of its own, as it imports verl and changes it, and prints one line of JSON last.
"""

import json
import os
import socket
import sys
from typing import Any

_TOKENS = 24
_GPUS = 2
#: As verl's engine calls a model.
_CALL = {"use_cache": False, "return_dict": True, "temperature": 1.0}


def head(checkpoint: str, mended: bool) -> None:
    """The part by which the output layer's gradient, sharded over two processes, differs from that of one."""
    import torch.multiprocessing

    _imported(mended)  # once, and not in each process
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    torch.multiprocessing.start_processes(_head, (checkpoint, mended, port), nprocs=_GPUS, start_method="fork")


def _head(rank: int, checkpoint: str, mended: bool, port: str) -> None:
    import torch

    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    torch.distributed.init_process_group("gloo", rank=rank, world_size=_GPUS)
    model = _model(checkpoint, mended)
    from verl.utils import fsdp_utils

    rows = torch.randint(10, 1000, (_GPUS, 1, _TOKENS), generator=torch.Generator().manual_seed(0))
    (sum(_loss(model, row) for row in rows) / _GPUS).backward()
    whole = model.lm_head.weight.grad.clone()
    model.zero_grad()
    mesh = torch.distributed.init_device_mesh("cpu", (_GPUS,))
    fsdp_utils.apply_fsdp2(model, {"mesh": mesh, "reshard_after_forward": True}, {})
    _loss(model, rows[rank]).backward()
    found = model.lm_head.weight.grad.full_tensor()
    if rank == 0:
        print("\n" + json.dumps(float((found - whole).norm() / whole.norm())), flush=True)
    torch.distributed.destroy_process_group()


def _loss(model: Any, row: Any) -> Any:
    import torch

    positions = torch.arange(_TOKENS).expand(4, 1, _TOKENS)
    told = {"attention_mask": torch.ones_like(row), "position_ids": positions, **_CALL}
    return -model(input_ids=row, **told).log_probs[:, :-1].mean()


def packed(checkpoint: str, mended: bool) -> None:
    """The largest difference of a log-probability between a sequence alone and behind another in one pass."""
    import torch

    model = _model(checkpoint, mended)
    rows = [torch.randint(10, 1000, (1, size), generator=torch.Generator().manual_seed(size)) for size in (70, 40)]

    def log_probs(parts: list[Any]) -> Any:
        sizes = torch.tensor([0, *(part.shape[1] for part in parts)]).cumsum(0)
        positions = torch.cat([torch.arange(part.shape[1]) for part in parts]).expand(4, 1, -1)
        with torch.no_grad():
            return model(
                input_ids=torch.cat(parts, dim=1), attention_mask=None, position_ids=positions, cu_seqlens=sizes,
                cu_seqlens_cpu=sizes, **_CALL,
            ).log_probs[0]  # fmt: skip

    behind, alone = log_probs(rows)[rows[0].shape[1] :], log_probs(rows[1:])
    print("\n" + json.dumps(float((behind - alone)[:-1].abs().max())), flush=True)


def _imported(mended: bool) -> tuple[Any, Any]:
    """What loads a model, and what verl patches it by."""
    from capcurriculum.torchvision_shim import ensure_torchvision

    ensure_torchvision()
    if mended:
        import training.on_verl.patches.mends_hook  # noqa: F401
    from transformers import AutoModelForImageTextToText
    from verl.models.transformers.monkey_patch import apply_monkey_patch

    return AutoModelForImageTextToText, apply_monkey_patch


def _model(checkpoint: str, mended: bool) -> Any:
    """The model in float32 as verl patches it, with its fused kernels."""
    import torch

    loader, apply_monkey_patch = _imported(mended)
    model = loader.from_pretrained(checkpoint, dtype=torch.float32, attn_implementation="sdpa")
    apply_monkey_patch(model, use_remove_padding=False, use_fused_kernels=True, fused_kernels_backend="torch")
    return model


if __name__ == "__main__":
    {"head": head, "packed": packed}[sys.argv[1]](sys.argv[2], sys.argv[3] == "mended")
