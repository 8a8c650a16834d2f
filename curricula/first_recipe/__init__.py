"""A first recipe for a user's own data: what lies there is read, models are named, and commented YAML is written."""
