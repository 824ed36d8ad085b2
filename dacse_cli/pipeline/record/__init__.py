"""What an output folder remembers: journal, outcomes, chunk cache. Imports no torch."""
