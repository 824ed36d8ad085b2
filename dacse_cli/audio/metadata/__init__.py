"""Metadata of audio files, copied and never edited.

chunks     chunks of WAV, Wave64, AIFF, CAF and AU files, byte for byte
positions  sample positions in them, at another rate
tags       tags and cover art, by mutagen
fields     the fields that every kind of tag has
"""
