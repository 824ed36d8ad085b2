"""`run` over a Ray cluster: model and decoder processes run in actors, everything else as on one machine."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from dacse_cli.errors import DeviceError, UsageError
from dacse_cli.pipeline.request.find_models import Download
from dacse_cli.pipeline.request.naming import names_file
from dacse_cli.pipeline.request.request import Request
from dacse_cli.pipeline.run.decoders import DecoderPool
from dacse_cli.pipeline.run.run import run
from dacse_cli.pipeline.run.workers import ALL, Workers
from dacse_cli.pipeline.wire.events import Detail, Tell
from dacse_cli.pipeline.wire.model_plan import ModelPlan
from dacse_cli.pipeline.wire.outcome import Summary
from dacse_cli.pipeline.wire.process import Inbox

HERE = "local"
"""The address that starts a cluster of this one machine."""
WORKERS_PER_DECODER = 16
"""Decoding a recording takes a small share of the time that enhancing it takes."""
OBJECT_STORE_BYTES = 80 << 20
"""The minimum that Ray accepts; only messages go through the object store."""
CONNECT_SECONDS = 10.0


def run_ray(request: Request, address: str, tell: Tell, progress: Download | None = None) -> Summary:
    """Like `run`; `address` is Ray's (`auto`: the cluster this machine belongs to), or `local`.

    Inputs and output must be seen under the same path by every machine, as must the model's folder. A worker
    needs one GPU (`--device auto`: one for each the cluster has) or one CPU (`--device cpu,cpu`: two).
    Raises `UsageError`, `DeviceError`, and what `run` raises.
    """
    output = Path(request.output) if request.output else None
    if output is None or (not output.is_dir() and names_file(output, request.form)):
        raise UsageError("a Ray cluster needs an output folder, which all machines see")
    here = Path.cwd()
    inputs = tuple(str(here / name) for name in request.inputs)
    shared = [str(here / output), *(name for name in inputs if Path(name).exists())]  # others are patterns
    with _joined(address) as ray:
        resources = ray.cluster_resources()
        names = worker_devices(request.models.device, resources)
        tell(Detail(f"a Ray cluster of {_count(resources, 'CPU')} CPUs and {_count(resources, 'GPU')} GPUs"))
        models = replace(request.models, device=",".join(names))
        request = replace(request, inputs=inputs, output=str(here / output), models=models)
        return run(request, tell, progress, RayPool(names, shared))


class RayPool:
    """A `Pool` whose processes run in actors; `names` are the workers' devices."""

    def __init__(self, names: list[str], shared: list[str]) -> None:
        from dacse_cli.pipeline.run.ray_peers import RayPeer

        wants = {"num_cpus": 1, "num_gpus": int(names[0] != "cpu")}
        self._count = 1 + len(names) // WORKERS_PER_DECODER
        self._work = partial(RayPeer, shared=shared, options=wants)
        # no share of a CPU is reserved for decoders: a decoder waiting for a CPU would delay the whole run
        self._read = partial(RayPeer, shared=shared, options={"num_cpus": 0, "scheduling_strategy": "SPREAD"})

    def workers(self, plan: ModelPlan, inbox: Inbox) -> Workers:
        return Workers(plan, inbox, spawn=self._work)

    def decoders(self, inbox: Inbox) -> DecoderPool:
        return DecoderPool(inbox, self._count, self._read)


def worker_devices(asked: str, resources: dict[str, float]) -> list[str]:
    """A device for each worker, by its name on its own machine, where Ray shows it only its own GPU."""
    gpus = _count(resources, "GPU")
    if asked in ("auto", ALL):
        return ["cuda"] * gpus or ["cpu"]
    names = [name.strip() for name in asked.split(",")]
    kinds = {name.split(":")[0] for name in names}
    if len(kinds) != 1 or not kinds <= {"cpu", "cuda"}:
        raise UsageError(f"Ray runs workers on GPUs or on CPUs, not on {asked}")
    if "cuda" in kinds and len(names) > gpus:
        raise DeviceError(f"the cluster has {gpus} GPUs, `device` asks for {len(names)}")
    return [name.split(":")[0] for name in names]


def _count(resources: dict[str, float], name: str) -> int:
    return int(resources.get(name, 0))


def _check_address(address: str) -> None:
    """Raise `DeviceError` where no server answers: Ray itself would try for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not port.isdecimal():  # auto, local
        return
    try:
        socket.create_connection((host, int(port)), CONNECT_SECONDS).close()
    except OSError as error:
        raise DeviceError(f"no Ray cluster at {address}: {error.strerror or error}") from None


@contextmanager
def _joined(address: str) -> Iterator[Any]:
    """Ray, joined to a cluster until the end of the run."""
    try:
        import ray
    except ImportError:
        raise UsageError(
            "Ray is not installed", hint="Install the extra: pip install 'dacse[ray]'."
        ) from None
    if ray.is_initialized():  # Ray was started by the program that uses dacse as a library
        yield ray
        return
    _check_address(address)
    new = {"include_dashboard": False, "object_store_memory": OBJECT_STORE_BYTES} if address == HERE else {}
    quiet = {"logging_level": "ERROR", "log_to_driver": False, "configure_logging": False}
    try:
        ray.init(address=address, **new, **quiet)
    except (ConnectionError, RuntimeError, TimeoutError, ValueError) as error:
        raise DeviceError(f"no Ray cluster at {address}: {str(error).splitlines()[0]}") from error
    try:
        yield ray
    finally:
        ray.shutdown()
