"""The one list of benchmarks. To add one: write a function that returns a number, and give it a line here."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

from benchmarks import (
    adaptive,
    agreement,
    bad_inputs,
    certificate,
    client,
    commands,
    contamination,
    contamination_images,
    curricula_contrast,
    demo,
    disk,
    dry_plan,
    duplicates,
    engines,
    error_share,
    first_hour,
    grading,
    grading_world,
    internvl,
    kills,
    label_noise,
    launch_keys,
    ordering,
    peer_job,
    pixel_canary,
    preflight,
    probe_stop,
    publish,
    real_files,
    real_pixels,
    refresh_compare,
    report,
    resume,
    review_correction,
    review_interval,
    review_server,
    reward,
    road,
    saturation,
    stage1_gain,
    subset_compare,
    trainer_kills,
    writing,
)


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A measurement; `target` None means it is only watched. `how` says in a line what was measured.

    `measure` gives None where it needs something that is not installed.
    """

    measure: Callable[[], float | None]
    unit: str
    target: float | None
    better: Literal["lower", "higher"]
    how: str

    def ok(self, value: float) -> bool | None:
        """Whether `value` meets the target; None without one."""
        if self.target is None:
            return None
        return value <= self.target if self.better == "lower" else value >= self.target


_DEMO_GAIN = "the demo: last model against its start on unseen rows, lower end of the 95 % interval"

BENCHMARKS: dict[str, Benchmark] = {
    "bad_inputs_tried": Benchmark(
        partial(bad_inputs.counted, "tried"), "inputs", 600, "higher", "cases of the corpus in tests/cli/bad_inputs"
    ),
    "bad_input_tracebacks": Benchmark(
        partial(bad_inputs.counted, "traceback"), "inputs", 0, "lower", "of these, ended in a traceback"
    ),
    "bad_input_silent": Benchmark(
        partial(bad_inputs.counted, "silent"), "inputs", 0, "lower", "of these, did not say what they had to"
    ),
    "bad_input_hangs": Benchmark(
        partial(bad_inputs.counted, "hang"), "inputs", 0, "lower", "of these, took more than 10 s"
    ),
    "bit_flips_unnoticed": Benchmark(
        disk.flips_unnoticed,
        "flips",
        0,
        "lower",
        "2,000 in shards, 400 in records: silently other data",
    ),
    "checksum_read_cost": Benchmark(
        disk.read_cost, "x", 1.05, "lower", "tables as records, stage rows with pictures opened: time over that without"
    ),
    "help_seconds": Benchmark(commands.help_seconds, "s", 0.3, "lower", "median of 10 `capcurriculum --help`"),
    "import_seconds": Benchmark(commands.import_seconds, "s", 0.3, "lower", "median of 10 `import capcurriculum.cli`"),
    "grade_choice_per_s": Benchmark(
        grading.choice_per_second, "1/s", None, "higher", "four-option replies in eight forms, one process"
    ),
    "grade_maths_per_s": Benchmark(
        grading.maths_per_second, "1/s", None, "higher", "free answers, half numbers and half algebra, one process"
    ),
    "grade_algebra_per_s": Benchmark(
        grading.algebra_per_second, "1/s", None, "higher", "roots, points and polynomials, one process"
    ),
    "build_seconds": Benchmark(
        road.build_seconds, "s", 240, "lower", "`capcurriculum build` of the demo: 1,300 captions, 960 problems"
    ),
    "plan_without_weights_seconds": Benchmark(
        dry_plan.seconds,
        "s",
        10,
        "lower",
        "`train --dry-run` of an 8B backbone whose weights are not there, three stages",
    ),
    "internvl_logprob_gap": Benchmark(
        internvl.gap,
        "nats",
        1e-3,
        "lower",
        "largest distance of verl's and vLLM's log-probability of a token, of a small InternVL shown right, other, "
        "blank or no pictures, in float32",
    ),
    "internvl_two_ranks": Benchmark(
        internvl.two_ranks, "trained", 1, "higher", "the same InternVL on two ranks, one with a picture and one without"
    ),
    "launch_keys_checked": Benchmark(
        launch_keys.checked,
        "keys",
        4000,
        "higher",
        "keys that touch learning, of every launch, equal to the written table",
    ),
    "demo_minutes": Benchmark(
        demo.minutes,
        "min",
        15,
        "lower",
        "`make demo` in a fresh copy on an idle machine: install, build, train, measure",
    ),
    "demo_gain_perception_low": Benchmark(partial(demo.gain_low, "perception"), "share", 0.05, "higher", _DEMO_GAIN),
    "demo_gain_text_low": Benchmark(partial(demo.gain_low, "text"), "share", 0.05, "higher", _DEMO_GAIN),
    "demo_gain_visual_low": Benchmark(partial(demo.gain_low, "visual"), "share", 0.05, "higher", _DEMO_GAIN),
    "demo_worst_loss": Benchmark(
        demo.worst_loss, "share", -0.05, "higher", "the demo: most that a stage costs another stage's held-out rows"
    ),
    "demo_true_keys": Benchmark(
        road.true_keys, "share", 0.9, "higher", "the demo's questions whose marked answer is true to the caption"
    ),
    "adaptive_k_saved": Benchmark(
        adaptive.saved, "share", 0.35, "higher", "rollouts of K=16 left out by stop: decided, with the same selection"
    ),
    "real_files_wrong_golds": Benchmark(
        real_files.wrong_golds,
        "rows",
        0,
        "lower",
        "kept rows of others' files whose gold is not the one that the file says; None without those files",
    ),
    "real_files_unsaid_losses": Benchmark(
        real_files.unsaid_losses, "rows", 0, "lower", "rows of the same files that came to no row and no verdict"
    ),
    "pixels_differ": Benchmark(
        real_pixels.differ,
        "files",
        0,
        "lower",
        "odd files, and others' pictures, that engines, stage files, evaluations and verl's data set show differently",
    ),
    "duplicates_recall": Benchmark(
        duplicates.recall,
        "share",
        0.95,
        "higher",
        "planted copies found among 1,000,000 problems and as many images",
    ),
    "duplicates_precision": Benchmark(
        duplicates.precision, "share", None, "higher", "rows dropped that are copies of the row they name"
    ),
    "duplicates_seconds": Benchmark(
        duplicates.seconds, "s", 600, "lower", "the same, from the files to the last verdict"
    ),
    "duplicates_rss_gb": Benchmark(duplicates.rss_gb, "GB", 8, "lower", "peak memory of that process"),
    "contamination_precision": Benchmark(
        contamination.precision,
        "share",
        0.9,
        "higher",
        "dropped rows that are copies of MATH-500 or GSM8K, one planted to ten real rows of ORZ and GSM8K, none a copy",
    ),
    "contamination_recall": Benchmark(
        contamination.recall, "share", 0.95, "higher", "the same copies, written in 17 other ways, that are dropped"
    ),
    "contamination_run_precision": Benchmark(
        contamination.run_precision, "share", None, "higher", "the same by the rule of one shared run of 8 words"
    ),
    "contamination_run_recall": Benchmark(
        contamination.run_recall, "share", None, "higher", "the same by the rule of one shared run of 8 words"
    ),
    "contamination_image_templates": Benchmark(
        contamination_images.dropped,
        "rows",
        None,
        "lower",
        "of 10,049 questions of MATH-V, POPE and templates those dropped for a benchmark with 4,000 of the same",
    ),
    "label_noise_ratio": Benchmark(
        label_noise.ratio,
        "",
        0.2,
        "lower",
        "wrong labels kept with three kinds of auditors over the paper's rule alone, 10 % of captions lying",
    ),
    "good_row_recall": Benchmark(
        label_noise.recall, "share", 0.8, "higher", "good perception-hard rows that the same auditors leave"
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
    "stage1_gain_low": Benchmark(
        stage1_gain.gain_low,
        "share",
        0.0001,
        "higher",
        "stage 1 alone: lower end of the 95 % paired interval of the gain on every held-out perception question; 1 h",
    ),
    "staged_minus_merged_visual": Benchmark(
        curricula_contrast.staged_minus_merged,
        "points",
        None,
        "higher",
        "stages 1-2-3 minus merged on held-out visual rows that need stage 1, of the finished trainings of "
        "`python -m benchmarks.curricula_compare`; its interval is printed",
    ),
    "refresh_mixed_groups_ratio": Benchmark(
        refresh_compare.mixed_low,
        "x",
        1.0,
        "higher",
        "share of groups with a gradient, training.refresh over none at equal rollouts, lower end of the 95 % "
        "interval; of the finished seeds of `python -m benchmarks.refresh_compare`",
    ),
    "refresh_gain": Benchmark(
        refresh_compare.final_gain,
        "points",
        None,
        "higher",
        "held-out accuracy at the end, training.refresh minus none at equal rollouts; its interval is printed",
    ),
    "compare_seeds": Benchmark(curricula_contrast.compare_seeds, "seeds", 5, "higher", "seeds of that comparison"),
    "trainer_kill_lost_steps": Benchmark(
        trainer_kills.lost_steps,
        "steps",
        0,
        "lower",
        "verl killed (-9) at a random step of each of three stages: steps lost or doubled, restarts, processes left",
    ),
    "pixel_canary_caught": Benchmark(
        pixel_canary.caught,
        "kinds",
        4,
        "higher",
        "pictures dropped, swapped, one row off or resized for verl's trainer, each found before the first step; no "
        "alarm in 11 clean looks at ten draws of rows",
    ),
    "build_kill_differences": Benchmark(
        road.kill_differences, "rows", 0, "lower", "build killed at ten random moments against an undisturbed one"
    ),
    "kill_lost_rows": Benchmark(
        kills.lost_rows, "rows", 0, "lower", "lost, doubled or changed by 20 kills, ten of them inside a flush"
    ),
    "kill_repeated_answers": Benchmark(
        kills.repeated_answers,
        "requests",
        100,
        "lower",
        "sent twice when a build of 1,000 captions with 32 in flight to each of three models is killed (-9) half-way",
    ),
    "resume_seconds": Benchmark(
        resume.seconds, "s", 10, "lower", "a run of 1,000,000 answers resumed, until its first new request"
    ),
    "resume_peak_mb": Benchmark(resume.peak_mb, "MB", 1000, "lower", "peak memory of that process up to then"),
    "order_speedup": Benchmark(
        ordering.speedup,
        "x",
        10,
        "higher",
        "13 orders of 1,000,000 rows with K=16 answers, tables to listings, vs a script",
    ),
    "order_files_speedup": Benchmark(
        ordering.files_speedup, "x", None, "higher", "the same with all texts and predictions written in every order"
    ),
    "order_memory_ratio": Benchmark(
        ordering.memory_ratio, "", 0.2, "lower", "peak memory of the worse of these two over the script's"
    ),
    "order_10m_rss_gb": Benchmark(
        ordering.ten_million_rss_gb, "GB", 16, "lower", "peak memory, listings of 13 orders of 10,000,000 rows"
    ),
    "image_write_mb_s": Benchmark(
        writing.mb_per_second, "MB/s", 150, "higher", "20,000 rows with 1 MB pictures in shuffled order, fsync included"
    ),
    "image_write_rss_mb": Benchmark(writing.rss_mb, "MB", 1500, "lower", "peak memory of the process that writes them"),
    "publish_rss_mb": Benchmark(
        publish.rss_mb, "MB", 1000, "lower", "peak memory, 20,000 rows with 100 kB pictures published on loopback"
    ),
    "publish_resume_resent": Benchmark(
        publish.resume_resent, "", 1, "lower", "bytes sent again after kill -9 over those of the interrupted file"
    ),
    "storm_time_ratio": Benchmark(
        client.storm_time_ratio, "x", 1.5, "lower", "4,000 rows through 30 % 429, 10 % 500, 12 % worse, over the ideal"
    ),
    "report_freeze_ms": Benchmark(
        report.longest_freeze_ms, "ms", 300, "lower", "longest task of the page of 22,200 rows while it is used"
    ),
    "request_memory_growth_mb": Benchmark(
        client.request_memory_growth_mb, "MB", 200, "lower", "peak memory, 2,000 to 20,000 requests of 1 MB images"
    ),
    "client_requests_per_second": Benchmark(
        client.requests_per_second, "1/s", None, "higher", "512 in flight, 100 kB image each, answered after 1 s"
    ),
    "client_cpu_ms_per_request": Benchmark(
        client.cpu_ms_per_request, "ms", None, "lower", "CPU time of the client process, the same requests"
    ),
    "client_tail_seconds": Benchmark(
        client.tail_seconds,
        "s",
        5,
        "lower",
        "last 64 of 2,000 rows of 0.5 s, where one request in a hundred takes 20 s",
    ),
    "review_push_rows_per_s": Benchmark(
        review_server.rows_per_s, "1/s", 7, "higher", "2,000 records with pictures to a real Argilla on this machine"
    ),
    "review_pull_seconds": Benchmark(
        review_server.pull_seconds, "s", 60, "lower", "10,000 responses from that Argilla, until they are reviews"
    ),
    "review_growth_mb": Benchmark(
        review_server.growth_mb, "MB", 100, "lower", "peak memory of that client, 250 to 2,000 records"
    ),
    "review_interval_coverage": Benchmark(
        review_interval.coverage,
        "share",
        0.93,
        "higher",
        "95 % intervals that hold the true share of wrong keys, 100 samples, 3 people with 5 % slips",
    ),
    "certificate_valid": Benchmark(
        certificate.valid,
        "of 100 worlds",
        94,
        "higher",
        "in which the noise certificate's 95 % upper bound holds, the least over four rates and two kinds of reviewers",
    ),
    "certificate_rows": Benchmark(
        certificate.rows,
        "rows",
        150,
        "lower",
        "that people review, on average, until the certificate shows at most 5 % at a true rate of 1.5 %",
    ),
    "error_share_coverage": Benchmark(
        error_share.coverage,
        "share",
        0.93,
        "higher",
        "95 % intervals by people's words that hold the true share of perception errors, 100 sets, votes right in 80 %",
    ),
    "review_kept_accuracy_gain": Benchmark(
        review_correction.gain,
        "share",
        0.05,
        "higher",
        "right keys among the kept after a review of all of them, minus before",
    ),
    "client_peer_requests_per_second": Benchmark(
        client.peer_requests_per_second, "1/s", None, "higher", "the same by datatrove's runner (benchmarks/peer.py)"
    ),
    "client_peer_cpu_ms_per_request": Benchmark(
        client.peer_cpu_ms_per_request, "ms", None, "lower", "CPU time of datatrove's runner (benchmarks/peer.py)"
    ),
    "client_script_requests_per_second": Benchmark(
        client.script_requests_per_second, "1/s", None, "higher", "the same by AsyncOpenAI, a semaphore and gather"
    ),
    "client_script_cpu_ms_per_request": Benchmark(
        client.script_cpu_ms_per_request, "ms", None, "lower", "CPU time of that script (benchmarks/peer.py)"
    ),
    "preflight_rows_per_s": Benchmark(
        preflight.rows_per_second,
        "1/s",
        None,
        "higher",
        "rows with JPEGs of 1.1 megapixels looked at for the first time, one core",
    ),
    "preflight_again_rows_per_s": Benchmark(
        preflight.again_rows_per_second, "1/s", None, "higher", "the same rows a second time, remembered, one core"
    ),
    "grading_agreement": Benchmark(
        grading_world.agreement,
        "share",
        0.97,
        "higher",
        "cases from other graders' tests, real replies and adversarial ones on which label and grader agree",
    ),
    "grading_false_right": Benchmark(
        grading_world.false_right, "cases", 3, "lower", "of the same cases those accepted though wrong"
    ),
    "grading_real_golds": Benchmark(
        grading_world.real_golds,
        "share",
        0.99,
        "higher",
        "gold answers of ORZ, MATH-500 and GSM8K in eight respellings that are right against themselves",
    ),
    "grading_cross": Benchmark(
        grading_world.cross, "pairs", 0, "lower", "of 5,000 pairs of different golds those taken for equal, unexplained"
    ),
    "grading_order_flips": Benchmark(
        grading_world.order_flips,
        "verdicts",
        0,
        "lower",
        "of 1,000 answers, 1 % endless, those judged otherwise idle, shuffled or with 32 threads",
    ),
    "probe_requests_ratio": Benchmark(
        probe_stop.requests_ratio,
        "",
        0.42,
        "lower",
        "requests of a probe that stops when decided, with its control, over two full arms; 300 demo images, 2 solvers",
    ),
    "probe_selection_differs": Benchmark(
        probe_stop.selection_differs,
        "rows",
        0,
        "lower",
        "rows kept otherwise than when everything is asked: by that build, and by four modes over its answers",
    ),
    "probe_wall_ratio": Benchmark(
        peer_job.probe_wall_ratio,
        "",
        0.35,
        "lower",
        "wall time of probing 1,000 questions until decided, in one flow, over four full arms solver by solver",
    ),
    "peer_wall_ratio": Benchmark(
        peer_job.wall_ratio,
        "",
        0.6,
        "lower",
        "1,000 captions to kept rows, 1 % of the requests hang for 20 s: the build over a script with AsyncOpenAI",
    ),
    "peer_wrong_rows": Benchmark(
        peer_job.wrong_rows, "rows", 0, "lower", "rows of that job that a perfect client would not keep"
    ),
    "peer_missed_rows": Benchmark(
        peer_job.missed_rows, "rows", 2, "lower", "rows of that job that a perfect client would keep"
    ),
    "first_request_seconds": Benchmark(
        peer_job.first_request_seconds, "s", 2, "lower", "from the start of that build to its first request"
    ),
    "first_hour_commands": Benchmark(
        first_hour.commands, "commands", 10, "lower", "what the README types from own pictures to a training's dry run"
    ),
    "first_hour_seconds": Benchmark(
        first_hour.seconds, "s", 300, "lower", "all of them on 40 pictures, with an endpoint that answers at once"
    ),
    "subset_gain_ratio": Benchmark(
        subset_compare.gain_ratio,
        "x",
        None,
        "higher",
        "held-out gain of a quarter of the rows, chosen by --take, over that of all at equal rollouts; of the finished "
        "seeds of `python -m benchmarks.subset_compare`",
    ),
    "reward_mcq_per_s": Benchmark(
        reward.mcq_per_second,
        "1/s",
        None,
        "higher",
        "rewards of four-option replies in eight forms, one core",
    ),
    "reward_mcq_math_verify_per_s": Benchmark(
        reward.mcq_math_verify_per_second, "1/s", None, "higher", "the same by math-verify, in turns in one process"
    ),
    "reward_mcq_mathruler_per_s": Benchmark(
        reward.mcq_mathruler_per_second, "1/s", None, "higher", "the same by mathruler, in turns in one process"
    ),
    "reward_maths_per_s": Benchmark(
        reward.maths_per_second, "1/s", None, "higher", "rewards of free answers, half algebra, no two alike, one core"
    ),
    "reward_maths_math_verify_per_s": Benchmark(
        reward.maths_math_verify_per_second, "1/s", None, "higher", "the same by math-verify, in turns in one process"
    ),
    "reward_maths_mathruler_per_s": Benchmark(
        reward.maths_mathruler_per_second, "1/s", None, "higher", "the same by mathruler, in turns in one process"
    ),
    "reward_maths_speedup": Benchmark(
        reward.maths_speedup, "x", 1.0, "higher", "our rate over mathruler's on the same answers in the same run"
    ),
    "engines_same_scores": Benchmark(
        engines.same_scores,
        "share",
        1.0,
        "higher",
        f"1,000 replies that {engines.NAMES} score alike, where they are installed; None with one alone",
    ),
    "engines_trained": Benchmark(
        engines.trained,
        "engines",
        len(engines.ENGINES),
        "higher",
        f"of {engines.NAMES} those that trained two steps on a merged set of the embedded world, or scored all of it",
    ),
    "evaluate_agreement_points": Benchmark(
        agreement.points,
        "points",
        1.0,
        "lower",
        "VLMEvalKit's score minus ours of the same replies, two micro models on 300 held-out scenes through vLLM",
    ),
    "evaluate_matching_agreement": Benchmark(
        agreement.matching,
        "share",
        None,
        "higher",
        "1,000 replies in 20 forms of which VLMEvalKit's matching and our grader say the same",
    ),
    "reward_hang_ratio": Benchmark(
        reward.hang_ratio, "", 1.5, "lower", "wall time of batches of free answers, 1 % endless, over that without"
    ),
}
