"""Files <-> samples. Knows containers, disks and sample rates; knows no codec, no tokens, no job names.

Reading:

    containers  which kind a file is, and how much sound is really in it
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
