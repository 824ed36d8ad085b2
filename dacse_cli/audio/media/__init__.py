"""Files that libsndfile does not know, through PyAV (the extra `dacse[media]`): M4A, WebM, video.

Only this package imports `av`, and only when such a file is met.
"""
