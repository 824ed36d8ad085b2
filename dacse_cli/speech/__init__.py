"""Samples -> words, by a recogniser; words compared with words. Knows no files and no scores."""
