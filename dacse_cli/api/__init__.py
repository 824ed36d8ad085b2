"""The library: models in memory, arrays or files through them; `doctor` and `inspect` for one call each."""
