"""One command from request to summary: processes started, watched, and stopped. Imports no torch.

    run         plan -> summary
    supervisor  gives out work, commits results, reacts to the death of a process (`_worker_died`)
    workers     the model processes: what each holds, and which files are tried again after a death
    decoders    the processes that read inputs
    transfers   objects fetched and put, in threads
    stopping    what Ctrl-C does
    forecast    `--dry-run`
    watch       `dacse watch`
    pool        where processes are started;  ray_run, ray_peers, ray_host: on a Ray cluster

When a model process dies, the unfinished outputs of the files it held are removed, and each of these files
is tried once more, alone; a second death fails it with reason `worker-died`. Its finished chunks are in the
chunk cache (`record.chunk_cache`) and are not generated again.
"""
