"""Numbers that must not get worse: `python -m benchmarks [NAME...]` prints and writes them to `latest.json` here."""
