"""Output of the commands: `screen` while one runs, `results` at its end, made of `table`
and of `text` for numbers and names.

Only this package imports Rich. A command without progress imports `results` alone.
"""
