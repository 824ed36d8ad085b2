"""`dacse enhance` over stand-in models, here or over a Ray cluster: `SOURCE OUTPUT DEVICES [ADDRESS]`.

Prints what it is told as lines of JSON, then its summary.
"""

import contextlib
import json
import sys
import time
from functools import partial

import fake_children

from dacse_cli.config import ChunkOptions, ModelOptions, SoundOptions
from dacse_cli.pipeline.request.request import Request
from dacse_cli.pipeline.run import ray_run as cluster
from dacse_cli.pipeline.run import run as run_module
from dacse_cli.pipeline.run.pool import LocalPool
from dacse_cli.pipeline.run.workers import Workers
from dacse_cli.pipeline.wire.events import Detail, Stage
from dacse_cli.pipeline.wire.messages import Form

Copiers = partial(Workers, module="copying_worker")


class CopyingPool(LocalPool):
    def workers(self, plan, inbox):
        return Copiers(plan, inbox)


STDOUT = sys.stdout


def say(facts):
    print(json.dumps({**facts, "at": time.monotonic()}), file=STDOUT, flush=True)


def tell(event):
    if isinstance(event, Stage | Detail):
        say({"told": event.text})


def main(source, output, devices, address=None):
    fake_children.install_models()
    cluster.Workers = Copiers
    models = ModelOptions(device=devices)
    request = Request(Form.ENHANCE, (source,), output, models, ChunkOptions(), SoundOptions())
    with contextlib.redirect_stdout(sys.stderr):  # Ray prints what it thinks of killed processes
        if address is None:
            summary = run_module.run(request, tell, pool=CopyingPool())
        else:
            summary = cluster.run_ray(request, address, tell)
    say({**summary.to_json(), "fatal": str(summary.fatal or "")})


if __name__ == "__main__":
    main(*sys.argv[1:])
