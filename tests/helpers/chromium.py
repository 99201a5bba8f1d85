"""Debian's chromium without a window, told what to do through a pipe: real keys, real clicks.

The protocol is Chrome's own for developer tools: JSON messages with a zero byte after each, read by
the browser on descriptor 3 and written on 4.
"""

import contextlib
import fcntl
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SECONDS_TO_ANSWER = 20
_KEYS = {"Tab": 9, "Enter": 13, " ": 32}
_FLAGS = (
    "--headless=new",
    # Tests run as root too, for whom chromium has no sandbox.
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--remote-debugging-pipe",
)
# Only bash can say so for descriptors above 9; Python itself may use 3 and 4.
_ON_3_AND_4 = 'exec "${@:3}" 3<&"$1" 4>&"$2"'


def installed() -> str | None:
    """Where chromium is; other systems than Debian have it under other names."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next((found for name in names if (found := shutil.which(name))), None)


@dataclass
class Page:
    """One page in a browser, and all that it complained of or asked for."""

    process: subprocess.Popen
    to_browser: int
    from_browser: int
    session: str = ""
    console_errors: list[str] = field(default_factory=list)
    """Console messages, uncaught errors, violations of the page's policy."""
    requests: list[str] = field(default_factory=list)
    """Every address that was asked for."""
    _last: int = 0
    _buffer: bytes = b""

    def attach(self) -> None:
        """Begin to listen; nothing is loaded yet."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self.session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def open(self, file: Path) -> None:
        """Load a file, again if it is there already, and wait until its scripts have run."""
        self.console_errors.clear()
        self.requests.clear()
        self.call("Page.navigate", url=file.as_uri())
        deadline = time.monotonic() + SECONDS_TO_ANSWER
        while self.evaluate("document.readyState") != "complete":
            assert time.monotonic() < deadline, f"{file} was not loaded"

    def evaluate(self, expression: str) -> Any:
        """Value of a JavaScript expression in the page; the page's policy does not hold for it."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def narrow(self, width: int) -> None:
        """Make the window as wide as a phone's, in CSS pixels."""
        size = {"width": width, "height": 800, "deviceScaleFactor": 2, "mobile": True}
        self.call("Emulation.setDeviceMetricsOverride", **size)

    def press(self, key: str) -> None:
        """Press and release a key, as the system would report it."""
        text = {"Enter": "\r", " ": " "}.get(key, "")
        code = {"key": key, "code": key.strip() or "Space", "windowsVirtualKeyCode": _KEYS[key]}
        self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **code)
        self.call("Input.dispatchKeyEvent", type="keyUp", **code)

    def type(self, text: str) -> None:
        """Enter text where the focus is."""
        self.call("Input.insertText", text=text)

    def click(self, selector: str) -> None:
        """Click the middle of an element with the mouse."""
        place = self.evaluate(
            f"""(() => {{
              const element = document.querySelector({json.dumps(selector)});
              element.scrollIntoView({{block: "center", inline: "center"}});
              const box = element.getBoundingClientRect();
              return {{x: box.x + box.width / 2, y: box.y + box.height / 2}};
            }})()"""
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **place)

    def call(self, method: str, **parameters: Any) -> dict:
        """Send one message and give back its answer; what comes in between is noted."""
        self._last += 1
        message = {"id": self._last, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.to_browser, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self._last:
                assert "error" not in answer, (method, answer["error"])
                return answer["result"]
            self._note(answer)

    def _note(self, event: dict) -> None:
        method, found = event.get("method", ""), event.get("params", {})
        if method == "Runtime.consoleAPICalled":
            self.console_errors.append(json.dumps(found["args"]))
        elif method == "Runtime.exceptionThrown":
            self.console_errors.append(json.dumps(found["exceptionDetails"]))
        elif method == "Log.entryAdded":
            self.console_errors.append(found["entry"]["text"])
        elif method == "Network.requestWillBeSent":
            self.requests.append(found["request"]["url"])

    def _receive(self) -> dict:
        deadline = time.monotonic() + SECONDS_TO_ANSWER
        while b"\0" not in self._buffer:
            left = deadline - time.monotonic()
            ready, _, _ = select.select([self.from_browser], [], [], max(left, 0))
            chunk = os.read(self.from_browser, 1 << 20) if ready else b""
            assert chunk, f"chromium is silent; it ended with {self.process.poll()}"
            self._buffer += chunk
        message, self._buffer = self._buffer.split(b"\0", 1)
        return json.loads(message)


@contextlib.contextmanager
def page(browser: str, home: Path) -> Iterator[Page]:
    """A browser with nothing loaded, which writes nowhere but below `home`."""
    ours, theirs = _pipe(), _pipe()
    words = [browser, *_FLAGS, f"--user-data-dir={home / 'profile'}", "about:blank"]
    command = ["bash", "-c", _ON_3_AND_4, "bash", str(ours[0]), str(theirs[1]), *words]
    with (home / "chromium.log").open("wb") as log:
        process = subprocess.Popen(
            command,
            pass_fds=(ours[0], theirs[1]),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            # Nothing may depend on a home that can be written.
            env={**os.environ, "HOME": "/nonexistent", "XDG_CONFIG_HOME": str(home)},
        )
    os.close(ours[0])
    os.close(theirs[1])
    try:
        found = Page(process, to_browser=ours[1], from_browser=theirs[0])
        found.attach()
        yield found
    finally:
        # Without its pipe the browser ends by itself.
        os.close(ours[1])
        try:
            process.wait(SECONDS_TO_ANSWER)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        os.close(theirs[0])


def _pipe() -> tuple[int, int]:
    """Ends with numbers above those that the browser wants."""
    low = os.pipe()
    high = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in low]
    for end in low:
        os.close(end)
    return high[0], high[1]
