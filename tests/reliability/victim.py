"""A process that runs `dacse enhance` over stand-in models again and again, each time in a fork of itself.

Orders are lines of JSON on standard input: `input`, `output`, `overwrite`, `shard`, `cache`. For each it
prints the pid of the fork, then (unless that was killed) the summary as JSON, then `ended` and the exit
status. A fork costs milliseconds where a fresh interpreter costs half a second, so that thousands can be
broken.
"""

import importlib
import json
import os
import signal
import sys
import time
import traceback

import fake_children

from dacse_cli.config import ChunkOptions, ModelOptions, SoundOptions
from dacse_cli.errors import DacseError
from dacse_cli.pipeline.request.request import Request
from dacse_cli.pipeline.request.shards import parse_shard
from dacse_cli.pipeline.run.run import run
from dacse_cli.pipeline.wire.messages import Form
from dacse_cli.store.urls import is_url


def enhance(order):
    """One run, as the command line does it; the exit code."""
    models, chunk, sound = ModelOptions(), ChunkOptions(), SoundOptions()
    inputs = (order["input"],)
    shard = parse_shard(order["shard"]) if order.get("shard") else None
    more = {"overwrite": order["overwrite"], "shard": shard}
    request = Request(Form.ENHANCE, inputs, order["output"], models, chunk, sound, **more)
    if order.get("cache"):
        os.environ["DACSE_CACHE"] = order["cache"]
    began = time.monotonic(), time.process_time()
    try:
        summary = run(request, lambda event: None)
    except DacseError as error:
        took = time.monotonic() - began[0], time.process_time() - began[1]
        say(json.dumps({"fatal": error.message, "took": took}))
        return error.exit_code
    fatal = summary.fatal.message if summary.fatal else None
    say(json.dumps({**summary.to_json(), "fatal": fatal}))
    return summary.exit_code


def say(line):
    os.write(1, line.encode() + b"\n")


def main():
    fake_children.install()
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    for line in sys.stdin:
        order = json.loads(line)
        if is_url(order.get("input", "")):
            importlib.import_module("s3fs")  # once, and not in every fork
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGINT, lambda *_: sys.exit(130))  # as the command line does
            try:
                code = enhance(order)
            except SystemExit as end:
                code = end.code
            except BaseException:
                say(json.dumps({"bug": traceback.format_exc()}))
                code = 1
            os._exit(code)
        say(str(pid))
        status = os.waitpid(pid, 0)[1]
        say(f"ended {os.waitstatus_to_exitcode(status)}")


if __name__ == "__main__":
    main()
