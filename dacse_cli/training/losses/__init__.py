"""What networks minimise: differentiable functions of an estimate and its target.

    spectra          distances of waves: log mel spectra at seven scales, compressed complex spectra
    adversarial      discriminators against a network: least squares or hinge, feature matching
    discriminators   networks over periods of a wave and over bands of its spectrum
    hearing          a speech recogniser's features as a distance
    dispersive       latents of a batch kept apart

An estimate is what a network has made, a target what it should have made; both are `[B, S]` waves unless a
docstring says otherwise. Discriminators are modules that return, for every network in them, its feature maps
with the verdict last; a recipe with others (of mel spectra, say) writes its own and uses `adversarial`.
"""
