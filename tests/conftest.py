"""What holds for every test: no network beyond this machine, one thread a library, no telemetry."""

import os

# Set before any library reads them; subprocesses started by tests inherit them.
os.environ |= {
    "OMP_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "VLLM_NO_USAGE_STATS": "1",
    "WANDB_MODE": "offline",
}

from hypothesis import settings

# Wall-clock deadlines measure a busy machine, not the code; pytest-timeout catches what hangs.
settings.register_profile("project", deadline=None)
settings.load_profile("project")
