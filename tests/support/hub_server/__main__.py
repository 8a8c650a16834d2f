"""`python -m tests.support.hub_server FOLDER`: serve until killed, and tell how much came whenever a line asks for it.

For benchmarks, which measure processes that share nothing with the server.
"""

import json
import sys
from pathlib import Path

from tests.support.hub_server import serving

with serving(Path(sys.argv[1])) as served:
    print(served.hub.url, flush=True)
    for _ in sys.stdin:
        print(json.dumps(served.faults.received), flush=True)
