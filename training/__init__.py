"""Post-training through chained stages with verl's GRPO.

`chain.train` is the entry: preflight, plan, then for each stage one supervised verl process and one export. Importing
this package imports none of torch, verl, vllm, ray; only the trainer's own processes do.
"""
