"""What other trainers need to read the published sets and to grade with this project's grader (docs/engines.md).

Nothing here imports torch or the trainer; a trainer imports it.
"""
