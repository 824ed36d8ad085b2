"""Object stores: keys <-> files on this disk, over fsspec. Imports no file system before one is named.

    urls     which names are URLs
    store    one folder of a store: list, fetch, put
    listing  the objects below a folder, one at a time
    retries  calls repeated after network errors

A store that fsspec knows needs no code here, only its package. If its puts are atomic, its name belongs into
`store._WHOLE_PUTS`, so that objects are not written under a temporary name first.
"""
