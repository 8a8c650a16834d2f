"""Python imports this at the start of every process of a training run, since its folder is first on PYTHONPATH.

That reaches processes that no hook of verl does: Ray's workers before they import verl, and vLLM's engine. A further
`sitecustomize` on the path still runs.
"""

import importlib.util
import os
import sys
from importlib.machinery import PathFinder
from pathlib import Path

from training.on_verl.patches import loopback_store
from training.supervise import stacks

if os.environ.get("VERL_PLATFORM") == "cpu":
    from training.on_verl.patches.fork_server import take_part

    take_part(sys.orig_argv)

    from training.on_verl.patches.cpu import install

    install()
loopback_store.install()
stacks.register()

_here = str(Path(__file__).parent)
_next = PathFinder.find_spec("sitecustomize", [entry for entry in sys.path if entry != _here])
if _next is not None and _next.loader is not None:
    _next.loader.exec_module(importlib.util.module_from_spec(_next))
