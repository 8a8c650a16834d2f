"""The `human` filter: reviews become verdicts."""
