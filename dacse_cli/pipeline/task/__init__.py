"""One recording or token file on its way through the models: read, cut, joined, written."""
