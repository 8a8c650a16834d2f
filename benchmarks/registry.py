"""The one list of benchmarks. To add one: write a function that returns a number, and give it a line here."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from benchmarks import commands, grading, road, saturation


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A measurement; `target` None means it is only watched. `how` says in a line what was measured."""

    measure: Callable[[], float]
    unit: str
    target: float | None
    better: Literal["lower", "higher"]
    how: str

    def ok(self, value: float) -> bool | None:
        """Whether `value` meets the target; None without one."""
        if self.target is None:
            return None
        return value <= self.target if self.better == "lower" else value >= self.target


BENCHMARKS: dict[str, Benchmark] = {
    "help_seconds": Benchmark(commands.help_seconds, "s", 0.3, "lower", "median of 10 `capcurriculum --help`"),
    "import_seconds": Benchmark(commands.import_seconds, "s", 0.3, "lower", "median of 10 `import capcurriculum.cli`"),
    "grade_choice_per_s": Benchmark(
        grading.choice_per_second, "1/s", None, "higher", "four-option replies in eight forms, one process"
    ),
    "grade_maths_per_s": Benchmark(
        grading.maths_per_second, "1/s", None, "higher", "free answers, half numbers and half algebra, one process"
    ),
    "grade_algebra_per_s": Benchmark(
        grading.algebra_per_second, "1/s", None, "higher", "only answers that need math-verify, one worker"
    ),
    "build_seconds": Benchmark(
        road.build_seconds, "s", 240, "lower", "`capcurriculum build` of the demo: 300 captions, 120 problems"
    ),
    "demo_true_keys": Benchmark(
        road.true_keys, "share", 0.9, "higher", "the demo's questions whose marked answer is true to the caption"
    ),
    "saturation_ratio": Benchmark(
        saturation.ratio,
        "",
        1.05,
        "lower",
        "our rollout step over one raw LLM.chat of the same requests, vLLM on the CPU",
    ),
    "one_at_a_time_speedup": Benchmark(
        saturation.speedup, "x", 5, "higher", "our rollout step against asking one at a time with K=16 copies"
    ),
    "build_kill_differences": Benchmark(
        road.kill_differences, "rows", 0, "lower", "build killed at ten random moments against an undisturbed one"
    ),
}
