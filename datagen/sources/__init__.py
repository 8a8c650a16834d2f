"""Where rows come from: every reader yields rows and verdicts one source line at a time, never the whole set."""
