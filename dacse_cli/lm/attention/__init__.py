"""Keys and values of a batch, and attention over them with torch's own operations."""
