"""Bind torch's TCPStore to loopback if all processes of a training are on one machine.

The server of `torch.distributed.TCPStore`, by which the processes find each other, listens on every address without a
password, whatever host name it is given. It uses a listening socket instead if it gets one.
"""

import socket
from types import ModuleType
from typing import Any

from training.on_verl.patches.import_hooks import after_import, replaces

_BACKLOG = 2048  # as in torch
_LOOPBACK = ("127.0.0.1", "localhost")


def install() -> None:
    """Register the patch; call once per process."""
    for module in ("torch.distributed.rendezvous", "torch.distributed"):  # each has its own reference to the class
        after_import(module, _listen_on_the_host)


def _listen_on_the_host(module: ModuleType) -> None:
    original = module.TCPStore

    @replaces(module)
    def TCPStore(host_name: str, port: int, *args: Any, **kwargs: Any) -> Any:
        listening = _socket(host_name, port) if kwargs.get("is_master") else None
        if listening is not None:
            port = listening.getsockname()[1]
            kwargs["master_listen_fd"] = listening.detach()  # torch closes it
        return original(host_name, port, *args, **kwargs)


def _socket(host: str, port: int) -> socket.socket | None:
    """A socket that listens on `host` and `port`; None if `host` is not loopback or the port is taken."""
    if host not in _LOOPBACK:
        return None
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((host, port))
    except OSError:  # torch then shares the store of this process, or reports the error
        made.close()
        return None
    made.listen(_BACKLOG)
    return made
