"""A headless Chromium, driven over a pipe (Chrome DevTools Protocol) with the standard library alone.

Loaded by `conftest.py` under its own name.
"""

import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
_ANSWER_S = 60
_FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--mute-audio", "--autoplay-policy=no-user-gesture-required",
    "--host-resolver-rules=MAP * ~NOTFOUND", "--remote-debugging-pipe", "--hide-scrollbars",
)  # fmt: skip


class Chromium:
    """One page. `events` keeps what the browser told unasked: requests, console messages, exceptions, log entries."""

    def __init__(self, profile: Path) -> None:
        self._ours_in, theirs_out = os.pipe()
        theirs_in, self._ours_out = os.pipe()
        # The browser reads from descriptor 3 and writes to 4.
        script = f'exec "$0" "$@" 3<&{theirs_in} 4>&{theirs_out}'
        self._process = subprocess.Popen(
            ["/bin/bash", "-c", script, CHROMIUM, *_FLAGS, f"--user-data-dir={profile}", "about:blank"],
            pass_fds=(theirs_in, theirs_out), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(theirs_in)
        os.close(theirs_out)
        self._number, self._rest = 0, b""
        self.events: list[dict] = []
        self._session: str | None = None
        targets = self.ask("Target.getTargets")["targetInfos"]
        page = next(each["targetId"] for each in targets if each["type"] == "page")
        self._session = self.ask("Target.attachToTarget", targetId=page, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.ask(f"{domain}.enable")

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(_ANSWER_S)
        os.close(self._ours_in)
        os.close(self._ours_out)

    def ask(self, method: str, **parameters) -> dict:
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._ours_out, json.dumps(message).encode() + b"\0")
        while True:
            reply = self._message()
            if reply.get("id") == self._number:
                assert "error" not in reply, reply
                return reply["result"]
            self.events.append(reply)

    def open(self, page: Path, fragment: str = "") -> None:
        """Load a page anew and wait until its script says that it is ready."""
        self.ask("Page.navigate", url="about:blank")
        self.events.clear()
        self.ask("Page.navigate", url=page.as_uri() + fragment)
        self.wait_for("document.documentElement?.dataset.ready === 'true'")

    def value(self, expression: str):
        result = self.ask("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def wait_for(self, expression: str) -> None:
        deadline_s = time.monotonic() + _ANSWER_S
        while not self.value(expression):
            assert time.monotonic() < deadline_s, f"never true: {expression}; {self.complaints()}"
            time.sleep(0.02)

    def press(self, key: str) -> None:
        code = {" ": 32, "ArrowLeft": 37, "ArrowRight": 39, "Home": 36, "End": 35}[key]
        for kind in ("keyDown", "keyUp"):
            self.ask("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code)

    def complaints(self) -> list[dict]:
        """Console errors and warnings, exceptions that nobody caught, and refusals by the content policy."""
        found = []
        for event in self.events:
            method, parameters = event.get("method"), event.get("params", {})
            is_error = method == "Runtime.consoleAPICalled" and parameters["type"] in ("error", "warning", "assert")
            if is_error or method in ("Runtime.exceptionThrown", "Log.entryAdded"):
                found.append(parameters)
        return found

    def requested(self) -> list[str]:
        """Addresses that the page asked for."""
        sent = (each["params"] for each in self.events if each.get("method") == "Network.requestWillBeSent")
        return [each["request"]["url"] for each in sent]

    def _message(self) -> dict:
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._ours_in], [], [], _ANSWER_S)
            block = os.read(self._ours_in, 1 << 20) if ready else b""
            assert block, "the browser does not answer"
            self._rest += block
        message, _, self._rest = self._rest.partition(b"\0")
        return json.loads(message)
