"""One module per metric; each defines `METRIC` (or several), listed in `evaluation/registry.py`."""
