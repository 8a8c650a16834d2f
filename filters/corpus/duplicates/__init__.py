"""Near-duplicate questions: candidates, exact checks, and the choice of representatives."""
