"""Keeps torch's store on loopback where all processes of a training are on one machine.

`torch.distributed.TCPStore` is how the processes find one another. Its server listens on every address of the machine
and asks for no password, whatever address its clients are given; handed a socket that listens already, it uses that.
"""

import socket
from types import ModuleType
from typing import Any

from training.on_verl.patches.import_hooks import after_import

_BACKLOG = 2048  # as torch's own
_LOOPBACK = ("127.0.0.1", "localhost")


def install() -> None:
    """Register the patch; idempotence is the caller's (once a process, from `sitecustomize`)."""
    after_import("torch.distributed.rendezvous", _listen_where_clients_ask)  # has a name of its own for the class
    after_import("torch.distributed", _listen_where_clients_ask)


def _listen_where_clients_ask(module: ModuleType) -> None:
    original = module.TCPStore

    def store(host_name: str, port: int, *args: Any, **kwargs: Any) -> Any:
        listening = _socket(host_name, port) if kwargs.get("is_master") else None
        if listening is not None:
            port = listening.getsockname()[1]
            kwargs["master_listen_fd"] = listening.detach()  # torch closes it
        return original(host_name, port, *args, **kwargs)

    module.TCPStore = store  # type: ignore[attr-defined]


def _socket(host: str, port: int) -> socket.socket | None:
    """A socket that listens on `host` and `port`; None off loopback, or where a store of this process has the port."""
    if host not in _LOOPBACK:
        return None
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((host, port))
    except OSError:  # torch shares the store that is there, or says what is wrong
        made.close()
        return None
    made.listen(_BACKLOG)
    return made
