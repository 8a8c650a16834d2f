"""How we talk to the Hub: with its own clients, patiently, and with one sentence where it ends."""
