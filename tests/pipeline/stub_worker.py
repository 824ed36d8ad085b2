"""A worker without models: every job takes `STUB_SECONDS`, one job named `poison` kills its worker."""

import os
import signal
import time

from dacse_cli.files.atomic import stage_bytes
from dacse_cli.pipeline.wire.messages import Advanced, End, Loaded, Ready
from dacse_cli.pipeline.wire.outcome import Finished, OutputFile
from dacse_cli.pipeline.wire.process import serve


def handle(messages, answer):
    device = next(messages).plan.device
    answer(Loaded(1, 1.0, device, devices=3))
    for work in messages:
        if isinstance(work, End):
            return
        if "poison" in work.source.name:
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(float(os.environ["STUB_SECONDS"]))
        written = stage_bytes(work.target, device.encode())
        file = OutputFile(written.temp, work.target, written.size, written.sha256)
        answer(Advanced(1.0))
        answer(Ready(work.id, Finished((file,), 1.0)))


if __name__ == "__main__":
    serve(handle)
