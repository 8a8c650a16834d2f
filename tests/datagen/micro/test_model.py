"""The micro model: checkpoints load as any other, speak the project's prompts, and see about as well as claimed."""

import json
import re
from collections import Counter
from pathlib import Path
from random import Random

import numpy as np
import pytest
import torch
from PIL import Image

from capcurriculum import prompts
from capcurriculum.errors import EngineError
from datagen.micro import CHECKPOINTS, captions, checkpoint, corpus, noisy, questions, tasks, tokenizer
from datagen.micro import evaluate as measure
from datagen.micro.batches import collate, patches
from datagen.micro.evaluate import Speaker
from datagen.micro.learning import Rows, taught_logits
from datagen.micro.muon import orthogonalised
from datagen.micro.problems import text_problem
from datagen.micro.render import pixels, render
from datagen.micro.scenes import COLOURS, NUMBERS, PLACES, SHAPES, SIZES

MEGABYTE = 2**20


@pytest.fixture(scope="module")
def solver() -> Speaker:
    torch.set_num_threads(1)
    return Speaker(checkpoint("solver_a"))


def test_an_unknown_checkpoint_is_refused() -> None:
    with pytest.raises(EngineError, match="solver_a, solver_b, start"):
        checkpoint("solver_c")


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_a_checkpoint_is_complete_and_small(name: str) -> None:
    folder = checkpoint(name)
    needed = ("config", "generation_config", "processor_config", "tokenizer", "tokenizer_config")
    assert all(json.loads((folder / f"{part}.json").read_text()) for part in needed)
    assert (folder / "chat_template.jinja").read_text() == tokenizer.CHAT_TEMPLATE
    assert (folder / "model.safetensors").stat().st_size < 8 * MEGABYTE


def test_checkpoints_differ_in_their_weights_alone() -> None:
    files = {path.name for path in checkpoint("solver_a").iterdir()}
    for name in files:
        contents = {(checkpoint(folder) / name).read_bytes() for folder in CHECKPOINTS}
        assert len(contents) == (len(CHECKPOINTS) if name == "model.safetensors" else 1), name


def test_a_checkpoint_loads_as_a_qwen3_vl(solver: Speaker) -> None:
    assert type(solver.model).__name__ == "Qwen3VLForConditionalGeneration"
    assert solver.model.config.text_config.max_position_embeddings >= 4096
    ends = solver.processor.tokenizer.convert_tokens_to_ids([tokenizer.TURN_END, tokenizer.END_OF_TEXT])
    assert solver.model.generation_config.eos_token_id == ends


def test_the_chat_template_is_chatml_with_one_mark_an_image(solver: Speaker) -> None:
    chat = [*tasks.user("What is it?", image=True), {"role": "assistant", "content": "A star."}]
    told = solver.processor.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
    assert told == (
        f"<|im_start|>system\n{prompts.system()}<|im_end|>\n"
        "<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>What is it?<|im_end|>\n"
        "<|im_start|>assistant\nA star.<|im_end|>\n<|im_start|>assistant\n"
    )


@pytest.mark.parametrize("text", ["", "Größe 图 🙂\n\ttabs", "\\boxed{B} </think>", prompts.system(), "x" * 300])
def test_any_text_survives_the_tokenizer(solver: Speaker, text: str) -> None:
    assert solver.processor.tokenizer.decode(solver.processor.tokenizer.encode(text)) == text


def test_options_are_single_tokens(solver: Speaker) -> None:
    for word in (*COLOURS, *SHAPES, *SIZES, *PLACES, *NUMBERS, *questions.LETTERS):
        assert len(solver.processor.tokenizer.encode(f" {word}")) == 1, word


@pytest.mark.slow
def test_the_shipped_tokenizer_is_the_one_that_training_makes(solver: Speaker) -> None:
    made = tokenizer.train(corpus.texts())
    assert made.get_vocab() == solver.processor.tokenizer.get_vocab()
    row = next(corpus.texts())
    assert made.encode(row) == solver.processor.tokenizer.encode(row)


def test_patches_are_cut_as_the_image_processor_cuts_them(solver: Speaker) -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (2, 96, 96, 3), dtype=np.uint8)
    given = solver.processor.image_processor(images=[Image.fromarray(p) for p in pictures], return_tensors="pt")
    assert torch.allclose(given["pixel_values"], patches(pictures), atol=1e-5)
    assert given["image_grid_thw"].tolist() == [[1, 6, 6]] * 2


@pytest.mark.parametrize("side", [64, 96, 192])
def test_square_images_of_any_size_become_nine_tokens(solver: Speaker, side: int) -> None:
    given = solver.processor(text="<|image_pad|>", images=[Image.new("RGB", (side, side))], return_tensors="pt")
    assert given["input_ids"].size(1) == 9


@pytest.mark.parametrize("task", sorted({*tasks.TASKS, *tasks.FURTHER, *noisy.TASKS}))
def test_training_rows_give_a_loss_on_what_is_taught(solver: Speaker, task: str) -> None:
    rows = Rows(solver.processor.tokenizer, seed=1)
    batch = rows.batch(task, rows=2)
    assert 0 < batch.said.sum() < batch.ids.numel()
    logits, targets = taught_logits(solver.model, batch, rows.encoder.image)
    assert logits.shape == (len(targets), tokenizer.VOCABULARY)
    assert len(targets) == batch.said.sum()


def test_a_reader_is_taught_what_its_text_tells(solver: Speaker) -> None:
    teaching, rng = Rows(solver.processor.tokenizer, seed=3).teaching, Random(3)
    letters = Counter[str]()
    for _ in range(300):
        asked, said = (text for text, _ in tasks.reading(teaching, rng).passages)
        told = re.search(r"Image caption: (.+)\n\n(.+)\nOptions:\n", asked)
        assert told
        options = dict(re.findall(r"^([A-E]): (.+)$", asked, re.MULTILINE))
        gold = questions.gold(captions.read(told[1]), told[2])
        letter = measure.boxed(said)
        assert letter
        assert options["E"] == prompts.NOT_TOLD
        assert letter == next((key for key, text in options.items() if text == gold), "E")
        letters[letter] += 1
    assert 0.3 < letters["E"] / letters.total() < 0.6


CLEAN = {"noisy_from_image": tasks.from_image, "noisy_text": tasks.text, "noisy_visual": tasks.visual}


@pytest.mark.parametrize("task", sorted(CLEAN))
def test_two_of_five_noisy_answers_are_wrong_and_their_working_is_true_up_to_its_end(
    solver: Speaker, task: str
) -> None:
    teaching, right = Rows(solver.processor.tokenizer, seed=5).teaching, 0
    for number in range(400):
        row = noisy.TASKS[task](teaching, Random(number))
        (asked, _), (said, taught) = row.passages
        (same, _), (true, _) = CLEAN[task](teaching, Random(number)).passages
        assert asked == same  # the slip is drawn last
        right += said == true
        end = -3 if task == "noisy_from_image" else -2  # words that may differ: the option and its letter, or a number
        assert taught
        assert said.partition(" </think>")[0].split()[:end] == true.partition(" </think>")[0].split()[:end]
    assert 0.53 < right / 400 < 0.67


def test_a_slipped_number_is_another_one_and_none_below_zero() -> None:
    for number in range(300):
        problem = text_problem(Random(number))
        wrong = noisy.slipped(problem, Random(number))
        assert wrong.answer != problem.answer
        assert int(wrong.answer) >= 0
        assert wrong.working.endswith(f"= {wrong.answer}.")
        assert (wrong.text, wrong.skill) == (problem.text, problem.skill)


@pytest.mark.slow
def test_the_hedging_model_knows_but_hedges() -> None:
    torch.set_num_threads(1)
    hedging, asked = Speaker(checkpoint("hedging")), measure.held_out(100, seed=6)
    torch.manual_seed(6)

    def right(arm: str, temperature: float) -> int:
        replies = measure.solve(hedging, asked, arm, temperature)
        return sum(measure.boxed(reply) == q.letter for reply, q in zip(replies, asked, strict=True))

    assert right("image", 0.0) >= 70
    assert right("caption", 0.0) >= 95
    assert 40 <= right("image", 1.0) <= 70


def test_training_sees_what_generation_sees(solver: Speaker) -> None:
    """Positions and patches made for training give the logits that the processor's inputs give."""
    rows = Rows(solver.processor.tokenizer, seed=2)
    row = tasks.from_image(rows.teaching, rows.rng)
    assert row.shown
    logits, _ = taught_logits(solver.model, collate(rows.encoder, [row], pixels(row.shown)[None]), rows.encoder.image)
    text = "".join(passage for passage, _ in row.passages)
    given = solver.processor(text=text, images=[render(row.shown)], return_tensors="pt")
    with torch.no_grad():
        whole = solver.model(**given).logits[0]
    assert torch.allclose(whole[-len(logits) - 1 : -1], logits, atol=1e-3)


def test_orthogonalised_matrices_have_singular_values_near_one() -> None:
    values = torch.linalg.svdvals(orthogonalised(torch.randn(2, 24, 40, generator=torch.Generator().manual_seed(0))))
    assert torch.all((values > 0.5) & (values < 1.5))


def test_the_solver_reads_captions(solver: Speaker) -> None:
    asked = measure.held_out(24, seed=7)
    replies = measure.solve(solver, asked, "caption")
    assert sum(measure.boxed(reply) == q.letter for reply, q in zip(replies, asked, strict=True)) >= 22


def test_the_solver_sees_pictures(solver: Speaker) -> None:
    asked = measure.held_out(24, seed=7)
    replies = measure.solve(solver, asked, "image")
    assert sum(measure.boxed(reply) == q.letter for reply, q in zip(replies, asked, strict=True)) >= 18


def test_the_reader_answers_what_a_caption_tells_and_says_what_it_does_not() -> None:
    reader = Speaker(checkpoint("reader"))
    told, other = measure.held_out(24, seed=7), measure.not_told(24, seed=7)
    assert sum(box == q.letter for box, q in zip(measure.read(reader, told), told, strict=True)) >= 22
    assert measure.read(reader, other).count("E") >= 21


def test_the_teacher_writes_true_questions(solver: Speaker) -> None:
    asked = measure.held_out(24, seed=8)
    chats = [tasks.user(prompts.teacher_caption(q.caption, q.question.skill), system=False) for q in asked]
    torch.manual_seed(0)
    replies = solver.say(chats, temperature=measure.DEMO_TEACHING)
    judged = [measure.judge(reply, q.caption) for reply, q in zip(replies, asked, strict=True)]
    assert sum(valid and true for valid, true in judged) >= 19


def test_nothing_else_is_shipped() -> None:
    assert sorted(path.name for path in Path(checkpoint("start")).parent.iterdir() if path.is_dir()) == sorted(
        CHECKPOINTS
    )
