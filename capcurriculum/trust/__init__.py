"""What untrusted recipes may reach: endpoints, headers, and the environment of child processes."""
