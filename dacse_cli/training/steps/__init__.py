"""One update of the weights, for any network. A new trainer is built from one of the two steps.

    supervised    gradients of several batches added up, clipped, then every optimizer steps; averaged weights
    adversarial   a network against discriminators (or none): both sides' losses, in either order
    optimizers    AdamW and Muon by name, groups of weights with their own share of the learning rate
    average       exponential moving average of weights, swapped in for validation and writing

Both steps take the network as a module whose `forward` returns what its losses need, wrap it for several
processes, return the numbers for the log without reading them from the device, and save and restore their own
state. A trainer (`runs.loop.Trainer`) creates one in `begin` (each stage has new optimizers), fetches a batch
with `runs.ahead.Ahead` inside `machine.together()`, calls the step in `step` and passes its `state` on:

    def begin(self, stage, fresh):
        adamw = optimizers("adamw", self.network, rate=2e-3, device=self.machine.device)
        self.moves = SupervisedStep(self.network, self.machine, adamw, Pace(2e-3, warm_up=300), clip=1.0)
        self.batches = Ahead(make_batch, self.plan, jobs=2, stride=self.machine.count)

    def step(self, number, share):
        with self.machine.together():
            noisy, clean = self.batches.get(number * self.machine.count + self.machine.rank)
        noisy, clean = self.machine.tensor(noisy), self.machine.tensor(clean)
        return self.moves(number, share, [lambda network: self.loss(network(noisy), clean)])

    def close(self):
        self.batches.close()

Independent of audio, codes and recipes.
"""
