"""Where the processes of a run are started: on this machine, or (`ray_peers.py`) on a cluster."""

from __future__ import annotations

from typing import Protocol

from dacse_cli.pipeline.run.decoders import Decoder, Decoders
from dacse_cli.pipeline.run.workers import Workers
from dacse_cli.pipeline.wire.model_plan import ModelPlan
from dacse_cli.pipeline.wire.process import Inbox


class Pool(Protocol):
    """Creates the supervisor's handles of the processes; a process starts when it is needed."""

    def workers(self, plan: ModelPlan, inbox: Inbox) -> Workers:
        """The model processes."""

    def decoders(self, inbox: Inbox) -> Decoders:
        """The decoder processes."""


class LocalPool:
    """Child processes of this one."""

    def workers(self, plan: ModelPlan, inbox: Inbox) -> Workers:
        return Workers(plan, inbox)

    def decoders(self, inbox: Inbox) -> Decoders:
        return Decoder(inbox)
