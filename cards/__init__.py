"""Cards for data sets and models, written from the ledger."""
