"""What holds for every test: no network beyond this machine, one thread a library, no telemetry."""

import atexit
import gc
import logging
import os
import signal
from collections import Counter
from collections.abc import Generator, Iterator

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


# Without pytest's capture of logs (`-p no:logging`), which hangs a handler on every library's logger for each test:
# records still go nowhere. A test that reads them has the fixture `logged`.
logging.getLogger().addHandler(logging.NullHandler())

pytest_plugins = ["tests.support.endpoint", "tests.support.light_preflight"]


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Libraries and tests that stay to the end are not searched for garbage: that took a third of all time."""
    gc.disable()
    found = yield
    gc.freeze()
    gc.enable()
    atexit.register(gc.unfreeze)  # at the end extension modules look for what is left of theirs
    return found


@pytest.hookimpl(trylast=True)  # when those that are not wanted are gone
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files whose tests may take longest come first: of two workers none is left with a long one at the end."""
    files = Counter(item.path for item in items)
    longest = dict.fromkeys(files, 0.0)
    for item in items:
        allowed = item.get_closest_marker("timeout")
        longest[item.path] = max(longest[item.path], allowed.args[0] if allowed else 0)
    items.sort(key=lambda item: (longest[item.path], files[item.path]), reverse=True)


@pytest.fixture(scope="session", autouse=True)
def folders_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What a preflight remembers and what a user allows stay out of the user's folders, and no key goes to a test."""
    os.environ["CAPCURRICULUM_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    os.environ["XDG_CONFIG_HOME"] = str(tmp_path_factory.mktemp("config"))
    os.environ.pop("OPENAI_API_KEY", None)


@pytest.fixture(scope="session", autouse=True)
def unhurried_disk() -> Iterator[None]:
    """Nothing waits for the disk of this machine: what a flush is for, no test can see in the process that asked."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda handle: None)
        yield


@pytest.fixture
def logged() -> Iterator[list[str]]:
    """What any library logs during the test, as text."""
    heard: list[str] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            heard.append(self.format(record))

    root, handler = logging.getLogger(), Handler()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield heard
    root.setLevel(before)
    root.removeHandler(handler)


@pytest.fixture(scope="module")
def patient_maths() -> Iterator[None]:
    """Maths limits that a busy machine does not reach, where a test asks what is equal and not how long it takes."""
    algebra.shut_down()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pool, "LIMIT_SECONDS", 60.0)
        patch.setattr(pool, "CPU_SECONDS", 30.0)
        yield
        algebra.shut_down()
