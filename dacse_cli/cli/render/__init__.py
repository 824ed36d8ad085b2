"""What a command prints: `screen` while it runs, `results` at its end, `text` for numbers and names.

Only this package imports Rich. A command without progress imports `results` alone.
"""
