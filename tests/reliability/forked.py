"""Child processes of the supervisor as forks of a process that has imported everything already.

A real process with real pipes, limits and signals, in milliseconds where a fresh interpreter takes most of a
second, so that whole commands can be broken by the hundred. Stands in for `subprocess.Popen`.
"""

import gc
import os
import signal
import sys
import traceback
from types import SimpleNamespace

from dacse_cli.pipeline.wire import process as channel


class Forked:
    """Runs the start script of a child in a fork."""

    def __init__(self, command, stdin, stdout, stderr, env):
        script = command[2]
        ours, theirs = [], []
        for end in range(3):
            reading, writing = os.pipe()
            theirs.append(reading if end == 0 else writing)
            ours.append(writing if end == 0 else reading)
        self.returncode = None
        self.pid = os.fork()
        if self.pid == 0:
            _become(script, theirs)
        for descriptor in theirs:
            os.close(descriptor)
        self.stdin = os.fdopen(ours[0], "wb")
        self.stdout, self.stderr = os.fdopen(ours[1], "rb"), os.fdopen(ours[2], "rb")

    def kill(self):
        if self.returncode is None:
            os.kill(self.pid, signal.SIGKILL)

    def wait(self):
        if self.returncode is None:
            self.returncode = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.returncode


def _become(script, descriptors):
    """The child's side: three descriptors, nothing else of its parent's, and the script."""
    code = 1
    try:
        for number, descriptor in enumerate(descriptors):
            os.dup2(descriptor, number)
        os.closerange(3, 256)  # a lock that a child holds too would outlive its owner
        gc.freeze()  # an old file object, collected later, would close a descriptor in use by then
        sys.stdin, sys.stdout, sys.stderr = os.fdopen(0), os.fdopen(1, "w"), os.fdopen(2, "w")
        exec(script, {"__name__": "__main__"})
        code = 0
    except SystemExit as end:
        code = end.code or 0
    except BaseException:
        os.write(2, traceback.format_exc().encode())
    finally:
        os._exit(code)


def install():
    """From here on the supervisor's children are forks."""
    channel.subprocess = SimpleNamespace(Popen=Forked, PIPE=-1)
