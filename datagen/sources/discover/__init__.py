"""What lies at a path, as sections of a recipe: which files, what their columns are, and what a sample gives."""
