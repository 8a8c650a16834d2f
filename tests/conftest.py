"""What holds for every test: no network beyond this machine, one thread a library, no telemetry."""

import os
import signal
from collections.abc import Iterator

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

import pytest
from hypothesis import settings

from capcurriculum.grading.workers import algebra, pool

# Wall-clock deadlines measure a busy machine, not the code; pytest-timeout catches what hangs.
settings.register_profile("project", deadline=None)
settings.load_profile("project")

# A shell starts its background jobs with Ctrl-C ignored, and what they start inherits it: tests of Ctrl-C would hang.
signal.signal(signal.SIGINT, signal.default_int_handler)


pytest_plugins = ["tests.support.light_preflight"]


@pytest.fixture(scope="session", autouse=True)
def folders_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What a preflight remembers and what a user allows stay out of the user's folders, and no key goes to a test."""
    os.environ["CAPCURRICULUM_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    os.environ["XDG_CONFIG_HOME"] = str(tmp_path_factory.mktemp("config"))
    os.environ.pop("OPENAI_API_KEY", None)


@pytest.fixture(scope="module")
def patient_maths() -> Iterator[None]:
    """Maths limits that a busy machine does not reach, where a test asks what is equal and not how long it takes."""
    algebra.shut_down()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pool, "LIMIT_SECONDS", 60.0)
        patch.setattr(pool, "CPU_SECONDS", 30.0)
        yield
        algebra.shut_down()
