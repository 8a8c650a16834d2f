"""What a recipe may not name at all, and what it may name only after the user's word: programs, variables, hosts.

The programs named here write down that they ran, and every variable has a value that may not be seen anywhere.
"""

import os
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import yaml

from capcurriculum import cli
from tests.cli.bad_inputs.corpus import Case

_SECRET = "a-secret-that-nobody-may-see"
_VARIABLES = dict.fromkeys(("OPENAI_API_KEY", "HF_TOKEN", "TEAM_KEY", "AWS_SECRET_ACCESS_KEY"), _SECRET)
_FAR = "https://models.far.example/v1"
_NEAR = "http://127.0.0.1:9/v1"


def _recipe(model: dict[str, object] | None = None, **changes: object) -> str:
    data = {
        "name": "small",
        "models": {"policy": {"engine": "openai", "model": "m", "base_urls": [_NEAR]} | (model or {})},
        "text": {"source": {"kind": "problems", "path": "text"}},
        "rollouts": {"model": "policy"},
    }
    Path("text").mkdir(exist_ok=True)
    Path("text/problems.jsonl").write_text('{"problem": "1 + 1?", "answer": "2"}\n')
    Path("recipe.yaml").write_text(yaml.safe_dump(data | changes))
    return "recipe.yaml"


def _program() -> str:
    """One that a recipe may name; it writes down that it ran, and what it was told."""
    path = Path("env/bin/python3")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\nenv > {Path.cwd()}/ran\n")
    path.chmod(0o755)
    return str(path.absolute())


def _judged(words: list[str]) -> Callable[[], int]:
    """The command with secrets in its environment and an empty folder of the user's; 99 if anything ran or leaked."""

    def run() -> int:
        with patch.dict(os.environ, _VARIABLES | {"XDG_CONFIG_HOME": str(Path.cwd() / "config")}):
            os.environ.pop("CAPCURRICULUM_PASS", None)
            code = cli.main(words)
        written = [path for path in Path.cwd().rglob("*") if path.is_file() and _SECRET in path.read_text("latin-1")]
        return 99 if Path("ran").exists() or written else code

    return run


def _words(
    make: Callable[[], str], before: tuple[str, ...], after: tuple[str, ...]
) -> Callable[[Path], Callable[[], int]]:
    return lambda folder: _judged([*before, make(), *after])


_VERBS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "build": (("build",), ()),
    "build --dry-run": (("build",), ("--dry-run",)),
    "train": (("train",), ()),
    "allow": (("allow",), ()),
}


def _refused(what: str, says: str, model: dict[str, object], verbs: tuple[str, ...] = ("build",)) -> list[Case]:
    return [Case(f"{verb}: {what}", _words(lambda: _recipe(model), *_VERBS[verb]), says) for verb in verbs]


#: Addresses that hold a secret, or that two programs may read in two ways -> what is said.
ADDRESSES = {
    "http://me:pass@h/v1": "no user name or password; put the key where",
    "http://me@h/v1": "no user name or password",
    "https://:pass@h/v1": "no user name or password",
    "http:///me:pass@h/v1": "no user name or password",
    "http:/me:pass@h/v1": "no user name or password",
    "http:me:pass@h/v1": "no user name or password",
    "http:\\\\me:pass@h\\v1": "no user name or password",
    "http://h/v1/me:pass@h": "no user name or password",
    "http://h\\@127.0.0.1/v1": "no user name or password",
    "http://127.0.0.1:80@far.example/v1": "no user name or password",
    "https://h/v1?key=pass": r"no \? and no #",
    "https://h/v1?": r"no \? and no #",
    "https://h?api-version=1&key=pass": r"no \? and no #",
    "https://h/v1#pass": r"no \? and no #",
    "http:///v1": "an address is http or https, a host and a path",
    "http:////h/v1": "an address is http or https",
    "http://h//v1": "an address is http or https",
    "http:\\\\h\\v1": "an address is http or https",
    "http://h\\v1": "an address is http or https",
    "http://h/v1;key=pass": "an address is http or https",
    "http://h/v1 pass": "an address is http or https",
    " http://h/v1": "an address is http or https",
    "http://h/v1\n": "an address is http or https",
    "http://h\t/v1": "an address is http or https",
    "http://h%40far.example/v1": "an address is http or https",
    "http://h\u3002far.example/v1": "an address is http or https",
    "http://ｈ/v1": "an address is http or https",
    "http://h:99999/v1": "an address is http or https",
    "http://h:0/v1": "an address is http or https",
    "http://h:/v1": "an address is http or https",
    "http://h:80:81/v1": "an address is http or https",
    "http://[::1/v1": "an address is http or https",
    "http://[]/v1": "an address is http or https",
    "http://.../v1": "an address is http or https",
    "file:///etc/passwd": "an address is http or https",
    "ftp://h/v1": "an address is http or https",
    "javascript:alert(1)": "an address is http or https",
    "h:8000/v1": "an address is http or https",
    "//h/v1": "an address is http or https",
    "": "an address is http or https",
}
_HUB = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HUGGINGFACE_HUB_TOKEN", "HUGGINGFACE_TOKEN", "HF_API_TOKEN")
#: Where the Hub's token may not go: not even to what looks like the Hub.
_NO_HUB = (
    _FAR, _NEAR, "http://huggingface.co/v1", "https://huggingface.co.far.example/v1", "https://nothuggingface.co/v1",
    "https://x.hf.space/v1",
)  # fmt: skip
_TOKEN = "is the Hub's token and goes to the Hub alone; put the endpoint's own key into a variable"
#: What is no variable's name, and may be a key in its place.
_NO_NAMES = ("sk-proj-0123456789", "Bearer abc", "", "1KEY", "A=B", "$KEY", "KEY\n", "x" * 200)


def _suite(judge: dict[str, str]) -> list[str]:
    data = {"name": "s", "engine": "vlmevalkit", "judge": "j", "judges": {"j": judge}}
    Path("suite.yaml").write_text(
        yaml.safe_dump(data | {"benchmarks": [{"name": "POPE", "class": "ImageYORNDataset"}]})
    )
    return ["evaluate", f"M={_NEAR}", "--suite", "suite.yaml", "--python", _program()]


def _of_suite(what: str, judge: dict[str, str], says: str) -> Case:
    return Case(f"a suite: {what}", lambda folder: _judged(_suite(judge)), says)


def _named(url: str) -> list[Case]:
    """The same addresses where a user writes them: of an endpoint, of a judge."""

    def endpoint(folder: Path) -> Callable[[], int]:
        return _judged(["evaluate", f"M={url}", "--suite", "main", "--dry-run"])

    says = r"URL of the endpoint M cannot be used: .*(OPENAI_API_KEY)"
    return [Case(f"evaluate: {url!a}", endpoint, says)]


def _asks(what: str, verb: str, says: str, model: dict[str, object] | None = None, **changes: object) -> Case:
    """A recipe that would run or send something without the user's word."""
    before, after = _ASKED[verb]
    mend = r".*You have not allowed this: look at it and allow it with `capcurriculum allow \S+`, or give --allow"

    def make() -> str:
        given = {key: value() if callable(value) else value for key, value in changes.items()}
        return _recipe(model, **given)

    return Case(f"{verb}: {what}", _words(make, before, after), says + mend)


_ASKED = {
    "build": (("build",), ()),
    "build --shard": (("build",), ("--shard", "0/2")),
    "build --ray": (("build",), ("--ray",)),
    "train": (("train",), ()),
    "train --stage": (("train",), ("--stage", "text")),
    "train --backbone": (("train",), ("--backbone", "qwen2_5_vl_7b")),
    "train --sbatch": (("train",), ("--sbatch", "job.sh")),
    "train --engine easyr1": (("train",), ("--engine", "easyr1")),
}
_TRAINS = tuple(verb for verb in _ASKED if verb.startswith("train"))


def _training(**settings: object) -> Callable[[], dict[str, object]]:
    return lambda: {"backbone": "qwen3_vl_8b"} | settings


def _with_python() -> dict[str, object]:
    return {"backbone": "qwen3_vl_8b", "python": _program()}


def _sent(variable: str) -> dict[str, object]:
    return {"base_urls": [_FAR], "api_key_env": variable}


def _asked(variable: str) -> dict[str, str]:
    return {"model": "m", "base_url": _FAR, "api_key_env": variable}


def _kit(python: str) -> list[str]:
    return ["evaluate", f"M={_NEAR}", "--suite", "main", "--python", python]


CASES = [
    *(
        Case(f"evaluate: {python!a} as a program", lambda folder, python=python: _judged(_kit(python)),
             "There is no Python at .*; .*name its Python with --python or evaluation.python")
        for python in ("~nobody-of-that-name/python3", "nothing/python3", "/", ".", "~", "a" * 300)
    ),
    *(
        Case(f"allow: {python!a} as a program", _words(
            lambda python=python: _recipe(evaluation={"python": python}), ("allow",), ()),
            r"recipe.yaml would .*run the program /.*\(evaluation.python\).*This is allowed from now on", 0)
        for python in ("~nobody-of-that-name/python3", "../python3", "a b")
    ),
    *(case for url, says in ADDRESSES.items() for case in _refused(f"{url!a}", says, {"base_urls": [url]})),
    *(case for url in list(ADDRESSES)[:14] if url.startswith(("http://", "https://")) for case in _named(url)),
    *(_of_suite(f"{url!a}", {"model": "m", "base_url": url}, says) for url, says in list(ADDRESSES.items())[:-1]),
    *(
        case
        for variable in _HUB
        for case in _refused(f"{variable} to a host", _TOKEN, _sent(variable), tuple(_VERBS))
    ),
    *(
        case
        for url in _NO_HUB
        for case in _refused(f"the Hub's token to {url}", _TOKEN, {"base_urls": [url], "api_key_env": "HF_TOKEN"})
    ),
    *_refused("the Hub's token in a header", _TOKEN, {"base_urls": [_FAR], "headers": {"X-A": "HF_TOKEN"}}),
    *_refused("the Hub's token within a header", _TOKEN, {"base_urls": [_FAR], "headers": {"X-A": "a ${HF_TOKEN}"}}),
    *(case for name in _NO_NAMES for case in _refused(f"{name!a} as a variable",
      "must name the environment variable that holds the key", {"api_key_env": name})),
    _of_suite("the Hub's token", _asked("HF_TOKEN"), _TOKEN),
    _of_suite("a key as a variable", _asked("sk-1"), "must name the environment"),
    _of_suite("a host", _asked("OPENAI_API_KEY"), r"the judge j is asked to \S+, with \$OPENAI_API_KEY.*--allow"),
    _of_suite("another variable", _asked("TEAM_KEY"), r"\$TEAM_KEY.*--allow"),
    _of_suite("Bedrock", {"bedrock": "x"}, "Amazon Bedrock, with this machine's credentials.*--allow"),
    *(_asks("a host", verb, rf"asked to {_FAR}, with \$OPENAI_API_KEY", {"base_urls": [_FAR]}) for verb in _ASKED
      if verb.startswith("build")),
    *(_asks("a variable", verb, r"with \$AWS_SECRET_ACCESS_KEY as its key", _sent("AWS_SECRET_ACCESS_KEY"))
      for verb in _ASKED if verb.startswith("build")),
    _asks("files to a host", "build", "send them what lies in text", {"base_urls": [_FAR]}),
    _asks("plain http", "build", "over plain http, which anybody", {"base_urls": ["http://far.example/v1"]}),
    _asks("a header", "build", r"\$TEAM_KEY in the header X-Team", {"headers": {"X-Team": "TEAM_KEY"}}),
    _asks("a header in a text", "build", r"\$TEAM_KEY in the header X-Team", {"headers": {"X-Team": "k ${TEAM_KEY}"}}),
    _asks("a secret to loopback", "build", r"\$OPENAI_API_KEY as its key"),
    *(_asks(f"no loopback: {url}", "build", "is asked to http", {"base_urls": [url]})
      for url in ("http://0.0.0.0:1/v1", "http://2130706433/v1", "http://127.1/v1", "http://localhost.far.example/v1",
                  "http://10.0.0.1/v1", "http://[::]/v1", "http://[fe80::1]/v1", "http://169.254.169.254/latest")),
    *(_asks("a program", verb, r"run the program \S+/env/bin/python3", training=_with_python) for verb in _TRAINS),
    *(_asks("a cluster", verb, "to the Ray cluster at far.example:6379", training=_training(ray="far.example:6379"))
      for verb in ("train", "train --stage", "train --sbatch")),
    *(_asks(name, "train", f"send metrics and 4 replies of each validation to {name}",
            training=_training(logger=[name], log_samples=4)) for name in ("wandb", "mlflow", "swanlab", "trackio")),
]  # fmt: skip
