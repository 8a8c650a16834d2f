"""Near-duplicate questions: candidates, exact checks, and which of a group is kept."""
