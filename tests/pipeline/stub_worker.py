"""A worker without models: every job takes `STUB_SECONDS`, one job named `poison` kills its worker."""

import os
import signal
import time
from pathlib import Path

from dacse_cli.audio.atomic import stage_bytes
from dacse_cli.pipeline.wire.outcome import OutputFile
from dacse_cli.pipeline.wire.process import serve


def handle(commands, answer):
    load = next(commands)
    device = load["files"]["device"]
    answer({"type": "loaded", "batch": 1, "stride_seconds": 1.0, "runs": device, "devices": 3})
    for command in commands:
        if command["type"] == "end":
            return
        if "poison" in command["source"]:
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(float(os.environ["STUB_SECONDS"]))
        target = Path(command["target"])
        written = stage_bytes(target, device.encode())
        file = OutputFile(written.temp, target, written.size, written.sha256)
        answer({"type": "progress", "seconds": 1.0})
        done = {"files": [file.to_json()], "seconds": 1.0, "warnings": []}
        answer({"type": "ready", "id": command["id"], **done})


if __name__ == "__main__":
    serve(handle)
