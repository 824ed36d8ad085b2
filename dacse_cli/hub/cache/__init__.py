"""Model files on this disk: where the Hugging Face cache keeps them, and whether they are unchanged.

    layout   one repository's blobs, snapshots, refs and locks
    stamps   checksums remembered
    verify   damaged files

Uses no network.
"""
