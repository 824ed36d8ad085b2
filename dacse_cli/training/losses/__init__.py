"""What networks minimise: differentiable functions of an estimate and its target.

    spectra          distances of waves: log mel spectra at seven scales, compressed complex spectra
    compressed       distance of compressed spectra, for filters
    adversarial      discriminators against a network: least squares or hinge, feature matching
    discriminators   networks over periods of a wave and over bands of its spectrum
    mel_discriminators   networks over mel spectra
    hearing          a speech recogniser's features as a distance
    speaker          a speaker embedding as a distance
    opinion, perceived, intelligibility   DNSMOS, PESQ's disturbance and STOI with gradients
    dispersive       latents of a batch kept apart

An estimate is a network's output, a target the wanted output; both are `[B, S]` waves unless a
docstring says otherwise. Discriminators are modules that return, for every network in them, its feature maps
with the final output last; a recipe with other discriminators writes its own and uses `adversarial`.
"""
