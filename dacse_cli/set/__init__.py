"""SET, a speech enhancement transducer, and its baselines: noisy units in, as many frames of clean units out.

shape        what a `config.json` says: numbers only
conformer    the conformer layers
network      embeddings, encoder, predictor, joiner, head
expansion    how hypotheses grow and which are kept: tensors only
search       greedy and beam search, frame by frame
stepping     a conformer predictor one frame at a time, with caches
recurrent    an LSTM predictor one frame at a time
scoring      the interface between network and search
graphs       a search step as a CUDA graph
checkpoint   a folder -> a network, and back
translator   `interfaces.Translator` over all of it
"""
