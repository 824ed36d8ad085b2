"""A result on its way out: resampled, mixed, levelled, checked by a recogniser, written."""
