"""How results look: terminal, Markdown, tables, plots, progress."""
