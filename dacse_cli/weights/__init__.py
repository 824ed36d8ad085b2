"""Files of weights, read without trusting them: first names and shapes from the header, then the values.

    folder      which files hold the weights
    safetensors_file, torch_file   the two formats;  pickles: a pickle read without executing it
    stored      tensors as a header describes them, checked against what a network needs
    outline     a network without values, to be filled
    loading     tensors for such a network;  folding: weight norm folded into weights
    saving      tensors -> a model folder

Reads safetensors, and the pickles of two codecs that are published in no other form; no pickle is ever
executed. Independent of networks: the caller passes the tensors that a file must hold and the error to raise.
"""
