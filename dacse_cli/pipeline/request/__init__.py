"""A command as asked for -> the files it means, and the models it needs. Opens no audio, loads no model."""
