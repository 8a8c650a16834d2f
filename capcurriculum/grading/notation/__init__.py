"""From the text of an answer to its structure: spelling, tokens, expressions, units."""
