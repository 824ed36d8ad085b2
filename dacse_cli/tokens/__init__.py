"""Codes <-> flat token ids <-> prompts, and the files that hold codes. Knows no models and no devices."""
