"""Files <-> samples: containers, disks and sample rates; independent of codecs, tokens and jobs.

Reading:

    containers  the kind of a file, and the true length of its audio
    source      a file opened for libsndfile
    probe       header and full decode before work starts -> `info`, the facts
    read        samples of libsndfile's formats;  media: of the others, by PyAV;  recording: of either

Writing:

    formats     which container, sample format and rate an output gets
    output      a writer for it: write (libsndfile) or media (PyAV), with the metadata of the source

Signals, block by block:

    resample    from one sample rate to another
    loudness    measures loudness and true peak; changes nothing
    limiter     turns short peaks down
    expander    makes pauses quieter (`--strength strong`)

A new output format needs its suffix and limits in `formats` (libsndfile) or `media.kinds` (PyAV), its first
bytes in `containers.kinds`, and, if `--format` shall name it, `config.FORMATS` and `cli.options.sound`.
"""
