"""Environment variables of child processes: what programs and their libraries need, and no secret.

Which variables those are is a list, since nobody can list all secrets: the system's own, and those of the libraries
that train, serve and read. Of them, what is called a key or a token, or holds a password in an address, is left out
unless the child is for just that. A user passes further ones on by naming them in `CAPCURRICULUM_PASS`, with commas.
"""

import os
import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager

PASSED_ON = "CAPCURRICULUM_PASS"
_NAMES = frozenset(
    """
    PATH HOME USER LOGNAME SHELL LANG LANGUAGE TZ TERM TMPDIR TMP TEMP PWD HOSTNAME DISPLAY COLUMNS LINES NO_COLOR
    VIRTUAL_ENV LIBRARY_PATH CPATH C_INCLUDE_PATH CPLUS_INCLUDE_PATH CC CXX CFLAGS CXXFLAGS LDFLAGS MAX_JOBS CUDACXX
    SSL_CERT_FILE SSL_CERT_DIR REQUESTS_CA_BUNDLE CURL_CA_BUNDLE DO_NOT_TRACK CI LMUDATA
    MASTER_ADDR MASTER_PORT RANK LOCAL_RANK WORLD_SIZE LOCAL_WORLD_SIZE NODE_RANK
    HTTP_PROXY HTTPS_PROXY ALL_PROXY NO_PROXY
    """.split()  # noqa: SIM905
)
_BEGINNINGS = tuple(
    """
    LC_ LD_ XDG_ PYTHON CONDA_ COVERAGE_ PYTEST_ CAPCURRICULUM_ LMUDATA
    CUDA NVIDIA_ NCCL_ CUDNN_ CUBLAS_ OFI_ FI_ UCX_ IB_ GLOO_ ROCM_ ROCR_ HIP_ HSA_ RCCL_
    TORCH PYTORCH_ TRITON_ XFORMERS_ FLASH OMP_ MKL_ KMP_ GOMP_ OPENBLAS_ BLIS_ VECLIB_ NUMEXPR_ MALLOC_ MIMALLOC_
    ARROW_ POLARS_ RAYON_ VLLM_ VERL_ RAY_ TQ_ HYDRA_ HF_ HUGGINGFACE_ TRANSFORMERS_ VLMEVALKIT_ TOKENIZERS_
    SAFETENSORS_ SLURM_ PMI_ PMIX_ OMPI_ TENSORBOARD_
    """.split()  # noqa: SIM905
)
#: Parts of a name, between underscores, that say that its value is a secret.
_SECRET = re.compile(
    r"(^|_)(API|ACCESS|SECRET|PRIVATE)?(KEY|KEYS|TOKEN|TOKENS|SECRET|SECRETS|PASS|PASSWD|PASSWORD|CREDENTIALS?|AUTH|JWT"
    r"|COOKIE|PAT)(_|$)"
)
#: `user:password@` in an address.
_SIGNED_IN = re.compile(r"://[^/\s@]+@")


def environment(further: Mapping[str, str], keep: Collection[str] = ()) -> dict[str, str]:
    """The variables of a child: those of ours that it needs, then `further`.

    Args:
        further: set for it, whatever they are here.
        keep: names, and beginnings of names that end with _, that this child needs although they are secret.
    """
    named = {name.strip() for name in os.environ.get(PASSED_ON, "").split(",")}
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in named or _among(name, keep) or _needed(name.upper(), value)
    }
    return kept | dict(further)


@contextmanager
def swapped(variables: Mapping[str, str]) -> Iterator[None]:
    """Replace the process environment inside the block, for libraries that start processes without taking one."""
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _among(name: str, keep: Collection[str]) -> bool:
    return any(name == one or (one.endswith("_") and name.startswith(one)) for one in keep)


def _needed(name: str, value: str) -> bool:
    known = name in _NAMES or name.startswith(_BEGINNINGS)
    return known and not _SECRET.search(name) and not _SIGNED_IN.search(value)
