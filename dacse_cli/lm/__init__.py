"""Token ids -> token ids: a Llama decoder with its own weights, cache and greedy loop.

    shape        a `config.json` -> sizes, checked;  checkpoint: a folder -> a model;  weights: its tensors
    model        the network: `prefill` and `step`;  linear: its matrix products
    attention    key-value cache and attention by torch;  cpu, gpu: kernels of their own
    decoding     greedy decoding of a batch;  sampling: the same with a temperature
    rows         how requests of different lengths share a batch
    generate     `LanguageModel`: prompts -> ids
    translator   `interfaces.Translator`: codes -> codes
    device, memory, bandwidth   where it runs, how many rows fit, how fast it can be

Handles token ids and allowed id ranges; what an id means is defined in `tokens`.
"""
