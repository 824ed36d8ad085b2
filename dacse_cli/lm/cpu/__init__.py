"""What only a CPU runs: a compiled attention kernel and decoding with drafts."""
