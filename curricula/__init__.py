"""Curricula: kept questions become stage rows with a difficulty, an order and a split."""
