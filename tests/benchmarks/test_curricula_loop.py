"""The small GRPO loop: its numbers by hand, and packed sequences against separate ones."""

import math

import pytest
import torch

from benchmarks import curricula_grpo as grpo
from benchmarks import curricula_packed as packed
from benchmarks import curricula_policy as policy
from benchmarks import curricula_runs as runs
from benchmarks.curricula_policy import Book, Reply
from benchmarks.curricula_rows import rows
from datagen.micro import checkpoint

START = checkpoint("hedging")
TASKS = rows("needs", {"train": 2})["train"]


@pytest.fixture(scope="module")
def book() -> Book:
    return policy.book(START)


def test_advantages_are_normalised_in_each_group() -> None:
    scores = torch.tensor([[1.0, 0.0, 0.0, 1.0], [0.1, 0.1, 0.1, 0.1], [1.0, 0.0, 0.0, 0.0]])
    found = grpo.advantages(scores)
    deviation = math.sqrt(1 / 3)  # of 1, 0, 0, 1, with n - 1
    assert found[0].tolist() == pytest.approx(
        [0.5 / deviation, -0.5 / deviation, -0.5 / deviation, 0.5 / deviation], abs=1e-4
    )
    assert found[1].tolist() == pytest.approx([0.0] * 4, abs=1e-4)
    assert found[2].tolist() == pytest.approx([1.5, -0.5, -0.5, -0.5], abs=1e-4)


def test_the_kl_estimate_and_the_loss_have_the_gradients_that_they_should() -> None:
    log_probs = torch.tensor([-1.0, -2.0, -3.0], requires_grad=True)
    reference = torch.tensor([-1.0, -1.5, -3.5])
    found = grpo.kl(log_probs, reference)
    assert found.tolist() == pytest.approx([0.0, math.exp(0.5) - 1.5, math.exp(-0.5) - 0.5])
    advantage = torch.tensor([1.0, -1.0, 0.0])
    grpo.loss(log_probs, reference, advantage).sum().backward()
    assert log_probs.grad is not None
    pulls = [grpo.KL * (1 - math.exp(difference)) for difference in (0.0, 0.5, -0.5)]
    assert log_probs.grad.tolist() == pytest.approx([-1.0 + pulls[0], 1.0 + pulls[1], pulls[2]])
    log_probs.grad = None
    grpo.loss(log_probs, None, advantage).sum().backward()
    assert log_probs.grad.tolist() == pytest.approx([-1.0, 1.0, 0.0])


def test_packed_replies_are_sampled_and_scored_as_separate_sequences(book: Book) -> None:
    model = policy.load(START)
    prompts = [book.prompt(tasks[0]) for tasks in TASKS.values()]
    draws = torch.rand(len(prompts), 3, 40, generator=torch.Generator().manual_seed(1))
    end = int(book.words.convert_tokens_to_ids("<|im_end|>"))
    replies = packed.sample(model, prompts, draws, end)
    assert replies == packed.sample(model, prompts, draws, end)
    said = iter(packed.log_probs(model, prompts, replies).split([len(r) for own in replies for r in own]))
    for place, (prompt, own) in enumerate(zip(prompts, replies, strict=True)):
        for number, reply in enumerate(own):
            assert end not in reply[:-1]
            assert reply[-1] == end or len(reply) == draws.size(2)
            ids = torch.tensor([[*prompt.ids, *reply]])
            kinds = (ids == model.config.image_token_id).int()
            shown = packed._pictures(model, [prompt])
            with torch.no_grad():
                logits = model(input_ids=ids, mm_token_type_ids=kinds, **shown).logits[0, len(prompt.ids) - 1 : -1]
            alone = logits.log_softmax(-1).gather(1, torch.tensor(reply)[:, None])[:, 0]
            assert torch.allclose(next(said), alone, atol=1e-4)
            logits[..., model.config.image_token_id] = -torch.inf
            assert packed._drawn(logits, draws[place, number, : len(reply)]).tolist() == reply


def test_no_reply_holds_the_placeholder_of_an_image(book: Book) -> None:
    model = policy.load(START)
    image, end = model.config.image_token_id, int(book.words.convert_tokens_to_ids("<|im_end|>"))
    with torch.no_grad():  # as sure of the placeholder as a model can be
        model.lm_head.weight[image] = 100 * model.lm_head.weight[end]
    prompts = [book.prompt(tasks[0]) for tasks in TASKS.values()]
    replies = packed.sample(model, prompts, torch.rand(len(prompts), 2, 8), end)
    assert not any(image in reply for own in replies for reply in own)


def test_an_update_makes_what_was_rewarded_likelier_and_the_rest_less_likely(book: Book) -> None:
    model = policy.load(START)
    tasks = [task for own in TASKS.values() for task in own]
    words = ["<think> one </think> \\boxed{A}<|im_end|>", "<think> two </think> \\boxed{B}<|im_end|>"]
    replies = [[Reply(book.words.encode(text), 0.0, False, True) for text in words] for _ in tasks]
    ids = [[reply.ids for reply in own] for own in replies]
    prompts = [book.prompt(task) for task in tasks]

    def likely() -> torch.Tensor:
        with torch.no_grad():
            return packed.log_probs(model, prompts, ids).view(len(tasks), 2, -1).sum(2)

    before, reference = likely(), policy.load(START)
    steps = grpo.optimiser(model, 1e-4)
    for kept in (None, reference):
        grpo.learn(model, kept, steps, book, tasks, replies, torch.tensor([[1.0, -1.0]] * len(tasks)))
    moved = likely() - before
    assert (moved[:, 0] > 0).all()
    assert (moved[:, 1] < moved[:, 0]).all()


def test_a_training_counts_its_rollouts_and_is_measured_after_each_third(
    book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grpo, "PROMPTS", 2)
    monkeypatch.setattr(grpo, "REPLIES", 2)
    held = {"perception": TASKS["perception"][:1]}
    _, found = runs.train(START, book, list(TASKS.values()), 1e-4, 1, held, held)
    assert (len(found.steps), found.rollouts, list(found.curve)) == (3, 12, [1, 2, 3])
    assert list(found.final) == ["perception"]
    _, start = runs.train(START, book, [], 0.0, 0, held, held)
    assert (start.steps, start.rollouts, list(start.curve)) == ([], 0, [0])


def test_replies_are_rewarded_as_in_training(book: Book) -> None:
    task = TASKS["perception"][0]
    wrong = next(letter for letter in "ABCD" if letter != task.answer)

    def score(text: str) -> float:
        return policy._rewarded(book, task, book.words.encode(text + "<|im_end|>")).score

    assert score(f"<think> so </think> \\boxed{{{task.answer}}}") == pytest.approx(1.0)
    assert score(f"<think> so </think> \\boxed{{{wrong}}}") == pytest.approx(0.1)
    assert score("so") == 0.0
