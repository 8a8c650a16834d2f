"""What a flow waits for: replies of models, and filters that judge a question before it is asked about.

`Part` is one step with one model, `Model` the queue of everything that one model is asked, `Checks` the filters.
`merged` yields what the last two bring, as it comes.
"""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from queue import SimpleQueue
from typing import Any

from capcurriculum.rows import Question, Request, Response
from capcurriculum.run import Run
from datagen.asking.ask_missing import Job, Line, Rows
from datagen.asking.meter import Meter
from datagen.engines.openai.engine import OpenAIEngine, Source
from datagen.engines.protocol import Traffic


@dataclass(slots=True)
class Pending:
    """The number of replies and verdicts that are still to come; nothing more is asked when there are none."""

    count: int = 0

    @property
    def over(self) -> bool:
        """Whether the flow has ended."""
        return not self.count


class Part:
    """One step with one model: its rows, clock and line of progress. `then` is called with each answered item.

    `owed` counts the replies that are still to come.
    """

    def __init__(self, job: Job[Any, Any], model: "Model", step: str, name: str, line: Line, run: Run) -> None:
        self.job, self.model, self.traffic = job, model, Traffic()
        self.finished = self.owed = 0
        self.line = line if line.total is None else replace(line, finished=self._newly_finished)
        job.heard.begin(self.traffic)
        self._step = line.display.step(line.name, line.total, line.done, job.heard.words)
        self.rows: Rows[Any, Any] = Rows(job, Meter(run, step, name, self.traffic), self.line, self._step.__enter__())
        self.then: Callable[[Any], None] = lambda item: None

    def _newly_finished(self) -> int:
        finished, self.finished = self.finished, 0
        return finished

    def taken_over(self, item: Any) -> bool:
        """Take the reply of an earlier run for this item, and go on from it, if that had the same request."""
        if not self.rows.forked or not self.rows.taken_over(item, self.job.request(item)):
            return False
        self.then(item)
        return True

    def end(self) -> None:
        """End the line of progress."""
        self._step.__exit__(None, None, None)

    def conclude(self) -> None:
        """Print how many replies were of no use."""
        for sentence in self.job.heard.closing(self.line.name):
            self.line.display.note(sentence)


class Model(Source):
    """The requests of all parts that ask one model."""

    def __init__(self, engine: OpenAIEngine, pending: Pending) -> None:
        self._engine_traffic, self._pending, self._counted = engine.traffic, pending, Traffic()
        self.queue: deque[tuple[Part, Any]] = deque()
        self._in_flight: dict[str, tuple[Request, list[tuple[Part, Any]]]] = {}
        super().__init__(engine, self._requests())

    def _requests(self) -> Iterator[Request | None]:
        while self.queue or not self._pending.over:
            if not self.queue:
                yield None
                continue
            part, item = self.queue.popleft()
            request = part.job.request(item)
            if request.key in self._in_flight:
                self._in_flight[request.key][1].append((part, item))
            else:
                self._in_flight[request.key] = (request, [(part, item)])
                yield request

    def heard(self, response: Response) -> None:
        """Record a reply, and ask what follows from it.

        Raises:
            EngineError: the model fails for every request.
        """
        request, asked = self._in_flight.pop(response.key)
        for part, item in asked:
            self._account(part.traffic)
            part.rows.take(item, request, response)
            part.then(item)
            part.owed -= 1
            self._pending.count -= 1

    def _account(self, traffic: Traffic) -> None:
        """Count what was sent since the last reply for the part that this reply belongs to."""
        now = replace(self._engine_traffic)
        for name in ("requests", "retries", "hedged"):
            setattr(traffic, name, getattr(traffic, name) + getattr(now, name) - getattr(self._counted, name))
        self._counted = now


class Checks:
    """Filters that judge questions in threads, as a source beside the models.

    `admits` says whether a question may be asked about, and `then` is called with each that may be.
    """

    def __init__(
        self, admits: Callable[[Question], bool], then: Callable[[Question], None], pending: Pending, stack: ExitStack
    ) -> None:
        self.owed = 0
        self._admits, self._then, self._pending = admits, then, pending
        self._pool = stack.enter_context(ThreadPoolExecutor(2, "filters"))
        self._todo: list[Question] = []

    @property
    def ended(self) -> bool:
        """Whether no question will come."""
        return self._pending.over and not self.owed

    @property
    def busy(self) -> bool:
        """Whether a verdict is still to come."""
        return bool(self.owed)

    def put(self, question: Question) -> None:
        """Have a question judged."""
        self._pending.count += 1
        self.owed += 1
        self._todo.append(question)

    def fill(self, events: "SimpleQueue[tuple[Any, Any]]") -> None:
        """Hand what was put to the threads."""
        while self._todo:
            question = self._todo.pop()
            verdict = self._pool.submit(self._admits, question)
            verdict.add_done_callback(lambda done, question=question: events.put((self, (question, done))))  # type: ignore[misc]

    def take(self, event: "tuple[Question, Future[bool]]") -> "tuple[Question, bool]":
        """The question, and whether it may be asked about; raises what the filter raised."""
        question, done = event
        self.owed -= 1
        return question, done.result()

    def heard(self, verdict: "tuple[Question, bool]") -> None:
        """Go on with the question, if it may be asked about."""
        question, admitted = verdict
        if admitted:
            self._then(question)
        self._pending.count -= 1

    def close(self) -> None:
        """End the threads; questions that none has begun are left to the steps of the build."""
        self._pool.shutdown(wait=True, cancel_futures=True)
