"""Queries over a run's tables: verdicts, funnel, cost, and the life of a row."""
