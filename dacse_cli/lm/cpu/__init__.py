"""Code for CPUs only: a compiled attention kernel and decoding with drafts."""
