"""A recording on its way in: read once, channels chosen, resampled, encoded."""
