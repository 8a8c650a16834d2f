"""verl 0.9.1: its configuration, the hooks it loads, and the processes it runs in."""
