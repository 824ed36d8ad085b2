"""A real Chromium without a window, driven over its DevTools pipe: nothing to install besides the browser."""

import base64
import contextlib
import json
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

PROGRAM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Page:
    """One tab. `events` holds everything the browser reported."""

    def __init__(self, width=1200, height=900):
        self._home = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        to_browser, self._commands = os.pipe()
        self._answers, from_browser = os.pipe()

        def hand_over():  # in the child: DevTools talks on descriptors 3 and 4
            os.dup2(to_browser, 3, inheritable=True)
            os.dup2(from_browser, 4, inheritable=True)

        # both ends must not already lie on 3 or 4, or the first dup2 would close the second
        to_browser, from_browser = (self._high(fd) for fd in (to_browser, from_browser))
        self.process = subprocess.Popen(
            [
                PROGRAM, "--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe",
                "--no-first-run", "--disable-extensions", "--disable-dev-shm-usage",
                "--disable-background-networking", "--disable-component-update",
                f"--user-data-dir={self._home.name}", f"--window-size={width},{height}", "about:blank",
            ],
            preexec_fn=hand_over, close_fds=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(to_browser)
        os.close(from_browser)
        self._buffer, self._number, self.events = b"", 0, []
        self._session = None
        targets = self._call("Target.getTargets")["targetInfos"]
        target = next(t["targetId"] for t in targets if t["type"] == "page")
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self._call(f"{domain}.enable")
        self.size(width, height)

    @staticmethod
    def _high(descriptor):
        import fcntl

        moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD, 20)
        os.close(descriptor)
        return moved

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(Exception):
            self._session = None
            self._call("Browser.close")
        self.process.kill()
        self.process.wait()
        os.close(self._commands)
        os.close(self._answers)
        self._home.cleanup()

    def _call(self, method, **params):
        self._number += 1
        number = self._number
        message = {"id": number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == number:
                assert "error" not in answer, answer
                return answer["result"]

    def _read(self):
        while b"\0" not in self._buffer:
            block = os.read(self._answers, 1 << 20)
            assert block, "the browser is gone"
            self._buffer += block
        line, self._buffer = self._buffer.split(b"\0", 1)
        message = json.loads(line)
        if "method" in message:
            self.events.append(message)
        return message

    def open(self, path: Path, fragment=""):
        """Load a local file and wait until its scripts have run."""
        self._call("Page.navigate", url=path.resolve().as_uri() + fragment)
        self.wait_for("document.readyState === 'complete' && location.protocol === 'file:'")

    def visit(self, address):
        """Load an address of a server on this machine."""
        self._call("Page.navigate", url=address)
        self.wait_for("document.readyState === 'complete' && location.protocol === 'http:'")

    def drop(self, selector, *paths):
        """Files of this disk, dragged from outside and let go over an element."""
        x, y = self._middle(selector)
        data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):
            self._call("Input.dispatchDragEvent", type=kind, x=x, y=y, data=data)

    def downloads_to(self, folder):
        """Where downloads go, without a question."""
        self._call("Page.setDownloadBehavior", behavior="allow", downloadPath=str(folder))

    def run(self, script):
        """The value of `script`, awaited; an exception in the page fails the test."""
        result = self._call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def wait_for(self, condition, seconds=30):
        end = time.monotonic() + seconds
        while not self.run(f"Boolean({condition})"):
            assert time.monotonic() < end, f"never: {condition}"
            time.sleep(0.05)

    def size(self, width, height, scale=1, mobile=False):
        self._call("Emulation.setDeviceMetricsOverride",
                   width=width, height=height, deviceScaleFactor=scale, mobile=mobile)  # fmt: skip

    def scheme(self, name):
        """`light` or `dark`."""
        feature = {"name": "prefers-color-scheme", "value": name}
        self._call("Emulation.setEmulatedMedia", features=[feature])

    def click(self, selector):
        """A real press of the mouse in the middle of an element; counts as the user's gesture."""
        x, y = self._middle(selector)
        for kind in ("mousePressed", "mouseReleased"):
            self._call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def _middle(self, selector):
        self.run(f"document.querySelector({selector!r}).scrollIntoView({{block: 'center'}})")
        return self.run(
            f"(r => [r.x + r.width / 2, r.y + r.height / 2])"
            f"(document.querySelector({selector!r}).getBoundingClientRect())"
        )

    def press(self, key, code=None, text=None):
        """A real key."""
        codes = {" ": ("Space", " ", 32), "Tab": ("Tab", None, 9), "Enter": ("Enter", "\r", 13)}
        code, text, number = codes.get(key, (code or f"Key{key.upper()}", key if len(key) == 1 else None, 0))
        common = {"key": key, "code": code, "windowsVirtualKeyCode": number or ord(key[0].upper())}
        self._call("Input.dispatchKeyEvent", type="keyDown", **common, **({"text": text} if text else {}))
        self._call("Input.dispatchKeyEvent", type="keyUp", **common)

    def picture(self, path, whole=False):
        """A PNG of what is seen, or of the whole page."""
        data = self._call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)["data"]
        path.write_bytes(base64.b64decode(data))

    @property
    def requests(self):
        """Addresses of everything the page asked for."""
        self.run("0")
        sent = (
            e["params"]["request"]["url"] for e in self.events if e["method"] == "Network.requestWillBeSent"
        )
        return [url for url in sent if not url.startswith("data:")]

    @property
    def complaints(self):
        """Errors and warnings on the console, exceptions, log entries."""
        self.run("0")
        found = []
        for event in self.events:
            params = event["params"]
            if event["method"] == "Runtime.exceptionThrown":
                found.append(params["exceptionDetails"])
            elif event["method"] == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning"):
                found.append(params["args"])
            elif event["method"] == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
                found.append(params["entry"])
        return found
