"""Cards of data sets and models, and the report of a run, written from the ledger."""
