"""Descriptions of the columns of stage files, for the card's table."""

from collections.abc import Mapping

from capcurriculum.render.markdown import Md

COLUMNS: Mapping[str, Md] = {
    name: Md(text)
    for name, text in {
        "index": "position in the split, from 0",
        "problem": "the prompt; `<image>` is the placeholder of the image",
        "answer": "the gold answer: a letter if there are options, else free text",
        "images": "the bytes of the image; empty without one",
        "image_file_sha256": "sha256 of the source's image file, which may differ from the bytes here",
        "source": "the source of the row",
        "predictions": "the answers extracted from the rollouts",
        "correctness": "whether each was right; null if unknown",
        "pass_rate": "`pass_k` / `pass_n`",
        "question_id": "hash of the row's content",
        "stage": "the capability that the row trains",
        "skill": "the subject of the question",
        "options": "the texts of the options, A first; empty for free answers",
        "kind": "the kind of the gold answer (choice, number, quantity, ...), which selects its comparison",
        "pass_k": "rollouts that were right",
        "pass_n": "rollouts with a readable answer",
        "pass_unreadable": "rollouts without a readable answer, including truncated ones; unknown is not wrong",
        "pass_failed": "rollouts without a reply",
        "pass_low": "lower end of the Wilson 95 % score interval",
        "pass_high": "its upper end",
        "pass_full": "false where rollouts were stopped early",
        "license": "the licence of the source, as stated by its reader or the recipe",
        "split": "`train`, `val` or `test`",
        "data_source": "for verl: which reward to use",
        "prompt": "for verl: the chat messages, with the system prompt",
        "ability": "for verl: the stage",
        "reward_model": "for verl: the gold answer",
        "extra_info": "for verl: inputs of the reward",
    }.items()
}
