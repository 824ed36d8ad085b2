"""Files of weights, read without trusting them: names and shapes first, from the header; then the numbers.

    folder      which files hold the weights
    safetensors_file, torch_file   the two formats;  pickles: a pickle read without executing it
    stored      tensors as a header describes them, checked against what a network needs
    outline     a network without numbers, to be filled
    loading     tensors for such a network;  folding: weight norm folded into weights
    saving      tensors -> a model folder

Safetensors, and pickles of the few publishers who have nothing else; no pickle is ever executed. Knows
tensors and files, no networks: the caller says what must be in a file, and which error to raise.
"""
