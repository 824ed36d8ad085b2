"""What a file says beside its sound: tags, cover art, the chunks of broadcast WAV. Copied, never edited."""
