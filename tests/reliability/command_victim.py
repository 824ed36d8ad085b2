"""The real command line over a worker without models, again and again.

Each run is a fork in a session of its own. Orders are lines of JSON: `args`, `report` (where standard output
and error go) and `environment`. For each the pid of the fork is printed, then, when that has ended, `ended`
and its exit status.
"""

import functools
import json
import os
import signal
import sys

import copying_worker
import fake_children
import forked

from dacse_cli.audio import probe, read, write
from dacse_cli.cli import app
from dacse_cli.cli.batch import launch
from dacse_cli.pipeline.run import pool, run, workers

WARM = (probe, read, write, copying_worker)  # what the forks would import one by one


def run_command(order):
    os.setsid()
    os.environ.update(order["environment"])
    workers.SILENCE_SECONDS = float(os.environ.get("STUB_PATIENCE", "600"))
    report = os.open(order["report"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for number in (1, 2):
        os.dup2(report, number)
    os.close(report)
    sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
    sys.argv = ["dacse", *order["args"]]
    code = 1
    try:
        app.main()
        code = 0
    except SystemExit as end:
        code = end.code or 0
    finally:
        sys.stdout.flush()
        os._exit(code)


def main():
    fake_children.install_models()
    forked.install()
    pool.Workers = functools.partial(workers.Workers, module="copying_worker")
    launch.run = run.run
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):  # whatever the tests run under
        signal.signal(getattr(signal, name), signal.SIG_DFL)
    while line := sys.stdin.readline():
        pid = os.fork()
        if pid == 0:
            run_command(json.loads(line))
        os.write(1, b"%d\n" % pid)
        os.write(1, b"ended %d\n" % os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


if __name__ == "__main__":
    main()
