"""What an expression is worth: exact fractions, fifty digits, small matrices."""
