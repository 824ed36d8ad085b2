"""One recording or token file on its way through the models: read, cut, joined, written.

task           what the engine sees of it;  open: which task a piece of work becomes
enhance_audio  a recording through codec and translator;  filtering: through a filter
tokens         token files;  token_files: reading and writing them
models         the loaded parts and their grid of chunks
chunks         how a recording is cut and joined again
codec_work     what tasks ask of the codec, computed in batches of several tasks
guarding       the guard of a task
recording      what happens before and after the models: strength, loudness, words compared
reading        files or arrays -> rows of samples -> windows to encode
writing        rows -> the result: resampled, mixed with the input, brought to its loudness, written
"""
