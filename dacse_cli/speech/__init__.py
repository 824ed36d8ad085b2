"""Samples -> words, by a recogniser; words compared with words. Independent of files and of scores."""
