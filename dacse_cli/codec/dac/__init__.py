"""DAC (Kumar et al. 2023, arXiv 2306.06546): its network, config and context in integers."""
