"""A server on loopback that speaks as much of the Hub's protocol as its real clients use, and misbehaves on demand.

It knows nothing of the code under test: `huggingface_hub`, `hf_xet` and `datasets` talk to it unmodified. A commit is a
tree of path -> entry, contents are files named by their sha256.
"""

from tests.support.hub_server.faults import Fault
from tests.support.hub_server.serve import Served, serving

__all__ = ["Fault", "Served", "serving"]
