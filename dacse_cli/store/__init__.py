"""Object stores: keys <-> files on this disk, over fsspec. Imports no file system before one is named."""
