"""The process that asks math-verify, so that an answer which never ends or eats all memory hurts nobody else.

It speaks JSON lines. In: `[answer, gold, seconds of processor it may use, seconds of wall clock]`. Out: `[word, detail,
seconds of processor used]`, the word `equal`, `different`, `unparsed`, `failed` or `late` (out of wall time, which says
nothing of the answer).
This process loads sympy once and then only supervises: a forked child does the work, and when a request outlives its
CPU or wall limit the child dies and the next is forked in milliseconds instead of seconds. It ends when its input does,
so it never outlives its parent. Started by path, alone: it imports nothing of this package.
"""

import gc
import json
import logging
import os
import resource
import select
import signal
import time
from typing import Any

MEMORY_BYTES = 1 << 30
# Forms whose first use is slow: what the parser and sympy cache here, every forked child has from the start.
_WARM_UP = (
    (r"\frac{1}{2}+x^2", r"0.5+x^2"),
    ("x^2+2x+1", "(x+1)^2"),
    (r"2\sqrt{3}", r"\sqrt{12}"),
    (r"\frac{\pi}{2}", r"\pi/2"),
    ("(1,2)", "(1,3)"),
    (r"[0,\infty)", r"\{1,2\}"),
    ("x=5", "5"),
    (r"x \in [0,9]", "2<x"),
    (r"\sin(x)^2+\cos(x)^2", r"\log_2 8"),
)


def judge(answer: str, gold: str) -> tuple[str, str]:
    """Whether math-verify holds `answer` equal to `gold`.

    Its own timeouts are off: they use SIGALRM, which cannot interrupt one long C call.
    """
    from math_verify import LatexExtractionConfig, parse, verify

    def read(text: str) -> list[Any]:
        found = parse(
            f"${text}$",
            [LatexExtractionConfig()],
            fallback_mode="no_fallback",
            extraction_mode="first_match",
            parsing_timeout=None,
        )
        return list(found)

    expected = read(gold)
    if not expected:
        return "failed", "the gold answer is not an expression math-verify can read"
    given = read(answer)
    if not given:
        return "unparsed", "the answer is not an expression math-verify can read"
    return ("equal" if verify(expected, given, timeout_seconds=None, raise_on_error=True) else "different"), ""


def _child(requests: int, replies: int) -> None:
    """Answer requests until the pipe closes; one that uses more processor than it may has the kernel end this process.

    Even a single endless C call cannot outlive that timer: it needs no Python to run.
    """
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    with os.fdopen(requests, "rb") as lines:
        for line in lines:
            answer, gold, cpu_seconds, _ = json.loads(line)
            signal.setitimer(signal.ITIMER_PROF, cpu_seconds)
            begun = time.process_time()
            try:
                word, why = judge(answer, gold)
            # Not swallowed: whatever sympy raises becomes this one answer's FAILED with its reason.
            except Exception as error:
                word, why = "failed", f"math-verify raised {type(error).__name__}"
            signal.setitimer(signal.ITIMER_PROF, 0)
            os.write(replies, json.dumps((word, why, time.process_time() - begun)).encode() + b"\n")


class _Child:
    """A forked worker and the two pipes to it."""

    def __init__(self, unwanted: tuple[int, ...]) -> None:
        requests, self.requests = os.pipe()
        self.replies, replies = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                for descriptor in (self.requests, self.replies, *unwanted):
                    os.close(descriptor)
                _child(requests, replies)
            finally:
                os._exit(0)
        os.close(requests)
        os.close(replies)

    def ask(self, line: bytes, wall_seconds: float) -> bytes | None:
        """The reply line, or None when the child died or took `wall_seconds`; it is gone then."""
        try:
            os.write(self.requests, line)
            ready, _, _ = select.select([self.replies], [], [], wall_seconds)
            reply = os.read(self.replies, 65536) if ready else b""
        except BrokenPipeError:
            reply = b""
        return reply or None

    def end(self) -> bool:
        """Kill and collect the child; whether it had died of its processor limit."""
        os.kill(self.pid, signal.SIGKILL)
        _, status = os.waitpid(self.pid, 0)
        os.close(self.requests)
        os.close(self.replies)
        return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGPROF


def main() -> None:
    """Warm up, say ready, then serve standard input until it ends."""
    logging.disable(logging.CRITICAL)
    out = os.dup(1)
    os.dup2(2, 1)  # whatever a library prints must not pass for a reply
    try:
        for answer, gold in _WARM_UP:
            judge(answer, gold)
    except ImportError as error:
        os.write(out, f"{error}\n".encode())
        return
    gc.collect()
    gc.freeze()  # children share these pages; a collection in a child would copy them all
    os.write(out, b"ready\n")
    child: _Child | None = None
    with os.fdopen(0, "rb") as lines:
        for line in lines:
            child = child or _Child((0, out))
            _, _, limit, wall_seconds = json.loads(line)
            reply = child.ask(line, wall_seconds)
            if reply is None:
                word, why = (
                    ("failed", f"math-verify did not finish within {limit:g} s of processor")
                    if child.end()
                    else ("late", f"math-verify did not finish within {wall_seconds:g} s, or its worker was killed")
                )
                child, reply = None, json.dumps((word, why, limit)).encode() + b"\n"
            os.write(out, reply)
    if child:
        child.end()


if __name__ == "__main__":
    main()
