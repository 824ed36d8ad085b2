"""Units of a speech encoder as a codec: k-means of its features, and a small vocoder behind them.

The semantic tokens of the SET paper (arXiv 2507.12825). One codebook, 50 units per second at 16 kHz.

shape    a `config.json` -> its sizes, checked
whisper  Whisper's encoder, and its weights out of a CTranslate2 file
encoder  that one, or HuBERT or WavLM of `transformers`
codec    samples -> units, and back
"""
