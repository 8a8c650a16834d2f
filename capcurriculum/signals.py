"""SIGTERM and SIGHUP end a verb as Ctrl-C does: what is open is put away, and every process that it started is ended.

Batch systems, process managers and closed terminals send them; by Python's own ways a process would die at once, and
leave behind what only it knew of. The exit code says which signal it was (128 + its number), as a shell would.
"""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

_ENDING = (signal.SIGTERM, signal.SIGHUP)


class Ended(KeyboardInterrupt):
    """Raised in the main thread where a signal asks the process to end."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.code = 128 + number


def end(number: int, frame: object = None) -> NoReturn:
    """A handler that raises `Ended`.

    Raises:
        Ended: always.
    """
    raise Ended(number)


@contextmanager
def as_interrupts() -> Iterator[None]:
    """Let both signals raise `Ended`, the first time one comes; a signal that is ignored (`nohup`) stays so.

    Python handles signals in the main thread alone; in any other this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    owner, heard = os.getpid(), False

    def handle(number: int, frame: object) -> None:
        nonlocal heard
        if os.getpid() != owner:  # a fork that has not said what it does with signals: it ends as any process
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        elif not heard:  # a second one must not stop what the first began to put away
            heard = True
            end(number)

    before = {number: signal.getsignal(number) for number in _ENDING}
    mine = [number for number, handler in before.items() if handler == signal.SIG_DFL]
    for number in mine:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number in mine:
            signal.signal(number, before[number])
