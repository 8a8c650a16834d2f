"""Numbers that must not get worse: `python -m benchmarks [NAME...]` measures them and writes `benchmarks/latest.json`."""
