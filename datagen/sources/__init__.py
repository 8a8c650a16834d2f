"""Sources of rows: a reader gives a `Source`, whose records become rows or verdicts one by one, in bounded memory."""
