"""Samples -> words, by a speech recogniser; comparing words. Independent of files and of scores."""
