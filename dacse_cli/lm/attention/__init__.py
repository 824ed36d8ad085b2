"""The key-value `cache` of a batch, and `prefix`: attention over it with torch's own operations."""
