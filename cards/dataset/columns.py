"""What each column of a stage file holds, for the card's table; a test holds that none is missing."""

from collections.abc import Mapping

from capcurriculum.render.markdown import Md

COLUMNS: Mapping[str, Md] = {
    name: Md(text)
    for name, text in {
        "index": "place in the split, from 0",
        "problem": "what a model is asked; `<image>` stands where the picture goes",
        "answer": "the marked answer: a letter where there are options, else free text",
        "images": "the picture's bytes; empty where there is none",
        "image_file_sha256": "sha256 of the source's own file of the picture, which may be another than the bytes here",
        "source": "which source the row comes from",
        "predictions": "the answers read from the rollouts' replies",
        "correctness": "whether each was right; null where it is unknown",
        "pass_rate": "`pass_k` / `pass_n`",
        "question_id": "hash of the row's content",
        "stage": "the capability it is meant to train",
        "skill": "what it asks about",
        "options": "the options' texts, A first; empty for free answers",
        "kind": "the kind of the marked answer (choice, number, quantity, ...): how replies are compared with it",
        "pass_k": "rollouts that were right",
        "pass_n": "rollouts whose answer could be read",
        "pass_unreadable": "rollouts without a readable answer, cut off ones among them; unknown is not wrong",
        "pass_failed": "rollouts that never came",
        "pass_low": "lower end of the 95 % interval (Wilson)",
        "pass_high": "its upper end",
        "pass_full": "false where rollouts were stopped early",
        "license": "the licence of the row's source, as its reader or the recipe said",
        "split": "`train`, `val` or `test`",
        "data_source": "for verl: which reward to use",
        "prompt": "for verl: the chat turns, with the system prompt",
        "ability": "for verl: the stage",
        "reward_model": "for verl: the marked answer",
        "extra_info": "for verl: what the reward may read",
    }.items()
}
