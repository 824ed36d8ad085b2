"""Training: noisy speech from clean speech, codecs, language models, and the folders that `enhance` takes.

    mix/     clean recordings -> noisy and clean pairs          `dacse mix`
    llama/   pairs -> a language model                          `dacse train lm`
    dac/     clean recordings -> a codec, by the DAC recipe     `dacse train codec`
    runs/    what both trainings share: recipes, folders, checkpoints, processes, the loop
    codec    the other way to a codec, that of `nano`: no discriminators, a schedule by the clock;
             with hearing (a recogniser as a loss) and corpus (what it draws from)
    losses, quantizer, warm_start   what both ways to a codec use
    loop     schedules and states on disk;  in_order: one function, many processes, results in order
    claims   what a folder was begun with, and who holds it
    export   folders in the released formats

Knows nothing of enhancing and of commands.
"""
