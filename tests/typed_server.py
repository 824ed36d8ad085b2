"""Forks of a process that has imported what the command imports, each of which runs one command line.

Run by `typed.py`. It never computes anything itself: a fork of a process in which a library has started
threads could wait for these for ever.
"""

import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
import traceback
from contextlib import suppress

import forked
import typer
from numba.core.registry import cpu_target

from dacse_cli.cli.app import _commands_of, app, main

WARM = (
    "numba",
    "scipy.signal",
    "soundfile",
    "soxr",
    "torch",
    "dacse_cli.cli.batch.launch",
    "dacse_cli.cli.batch.outputs",
    "dacse_cli.cli.batch.pipes",
    "dacse_cli.cli.render.screen",
    "dacse_cli.codec.loading",
    "dacse_cli.codec.memory",
    "dacse_cli.filters.mask.load",
    "dacse_cli.hub.choice",
    "dacse_cli.lm.checkpoint",
    "dacse_cli.lm.cpu.kernel",
    "dacse_cli.lm.memory",
    "dacse_cli.lm.translator",
    "dacse_cli.pipeline.children.decoder",
    "dacse_cli.pipeline.children.model",
    "dacse_cli.pipeline.record.status",
    "dacse_cli.pipeline.run.forecast",
    "dacse_cli.pipeline.run.run",
    "dacse_cli.pipeline.task.enhance_audio",
)
"""What the forks would import one by one."""
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def become(order, descriptors):
    """The fork's side, from here to its end: what `python -m dacse_cli` finds, and the command."""
    code = 1
    try:
        for number, descriptor in enumerate(descriptors):
            os.dup2(descriptor, number)
        os.closerange(3, 256)
        gc.freeze()  # an old file object, collected later, would close a descriptor in use by then
        for number in STOPPING:
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        # not closed when a fork of this one replaces them
        sys.stdin = os.fdopen(0, closefd=False)
        sys.stdout = os.fdopen(1, "w", closefd=False)
        sys.stderr = os.fdopen(2, "w", buffering=1, errors="backslashreplace", closefd=False)
        sys.argv = order["args"]
        os.environ.clear()
        os.environ.update(order["env"])
        os.chdir(order["cwd"])
        forked.install()
        main()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        os.write(2, traceback.format_exc().encode())
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)


def serve(connection):
    """Start a fork per order and say its process and its exit status in the order's pipe."""
    running = {}
    while True:
        if select.select([connection], [], [], 0.005 if running else None)[0]:
            text, received, _, _ = socket.recv_fds(connection, 1 << 20, 4)
            if not text:  # the tests have ended
                return
            *descriptors, end = received
            pid = os.fork()
            if pid == 0:
                become(json.loads(text), descriptors)
            for descriptor in descriptors:
                os.close(descriptor)
            running[pid] = end
            os.write(end, b"%d\n" % pid)
        while running and (ended := os.waitpid(-1, os.WNOHANG))[0]:
            with suppress(BrokenPipeError):
                os.write(running[ended[0]], b"%d\n" % os.waitstatus_to_exitcode(ended[1]))
            os.close(running.pop(ended[0]))


if __name__ == "__main__":
    for name in WARM:
        importlib.import_module(name)
    for _ in _commands_of(typer.main.get_command(app)):
        pass  # commands are imported when they are built
    # what numba knows of Python and numpy is collected when it compiles or loads its first function
    for context in (cpu_target.typing_context, cpu_target.target_context):
        context.refresh()
    for number in STOPPING:
        signal.signal(number, signal.SIG_IGN)
    serve(socket.socket(fileno=int(sys.argv[1])))
