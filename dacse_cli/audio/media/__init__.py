"""Files that libsndfile does not know, through PyAV (the extra `dacse[media]`): M4A, WebM, video.

    kinds      what each container may hold; imports no `av`
    container  a file opened by one named demuxer
    length     how long a track is, without decoding it
    decode     the audio track -> samples
    encode     samples -> packets
    copying    all other streams, packet by packet
    write      an output with its copied streams, read back before it counts

Only this package imports `av`, and only when such a file is met.
"""
