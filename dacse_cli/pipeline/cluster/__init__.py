"""A run over the machines of a Ray cluster: the supervisor stays here, its child processes live there."""
