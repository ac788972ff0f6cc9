"""A page in headless Chromium, driven over its debugging protocol."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp

CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)


class Tab:
    """One open page; ``errors`` is what it wrote to the console or asked the network for."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.errors: list[str] = []
        self._count = 0

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        self._count += 1
        await self.socket.send_json({"id": self._count, "method": method, "params": params})
        while True:
            message = json.loads((await self.socket.receive(timeout=60)).data)
            self._note(message)
            if message.get("id") == self._count:
                assert "error" not in message, message
                return message["result"]

    def _note(self, message: dict[str, Any]) -> None:
        method, params = message.get("method"), message.get("params", {})
        if method == "Runtime.exceptionThrown":
            self.errors.append(str(params["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning"):
            self.errors.append(str(params["args"]))
        elif method == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.errors.append(str(params["entry"]))
        elif method == "Network.requestWillBeSent":
            url = params["request"]["url"]
            if not url.startswith(("file:", "data:", "blob:")):
                self.errors.append(f"asked the network for {url}")

    async def run(self, script: str) -> Any:
        """Value of an expression in the page."""
        found = await self.call(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    async def until(self, script: str, seconds: float = 40) -> None:
        deadline = time.monotonic() + seconds
        while not await self.run(script):
            assert time.monotonic() < deadline, f"{script} did not become true: {self.errors}"
            await asyncio.sleep(0.05)

    async def press(self, key: str) -> None:
        text = {"Enter": "\r", " ": " "}.get(key)
        code = {"Tab": 9, "Enter": 13, " ": 32}[key]
        own = {"key": key, "windowsVirtualKeyCode": code}
        await self.call(
            "Input.dispatchKeyEvent", type="keyDown", **own, **({"text": text} if text else {})
        )
        await self.call("Input.dispatchKeyEvent", type="keyUp", **own)

    async def resize(self, width: int, height: int = 800) -> None:
        await self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )

    async def open(self, path: Path) -> None:
        await self.call("Page.navigate", url=path.as_uri())
        await self.until("document.readyState === 'complete'")


def visit(profile: Path, script: Callable[[Tab], Awaitable[None]]) -> None:
    """Run a script on a new tab of a browser of its own."""
    profile.mkdir(parents=True, exist_ok=True)
    command = [str(CHROMIUM), "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run"]
    command += [
        "--disable-dev-shm-usage",
        "--remote-debugging-port=0",
        f"--user-data-dir={profile}",
    ]
    with (profile / "log").open("w") as log:
        browser = subprocess.Popen([*command, "about:blank"], stdout=log, stderr=log)
    try:
        asyncio.run(_visit(profile, script))
    finally:
        browser.terminate()
        browser.wait(timeout=20)


async def _visit(profile: Path, script: Callable[[Tab], Awaitable[None]]) -> None:
    port = profile / "DevToolsActivePort"
    deadline = time.monotonic() + 40
    while not (port.is_file() and port.read_text().strip()):
        assert time.monotonic() < deadline, (profile / "log").read_text()
        await asyncio.sleep(0.05)
    address = f"http://127.0.0.1:{port.read_text().splitlines()[0]}"
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{address}/json/list") as answer:
            pages = [page for page in await answer.json() if page["type"] == "page"]
        socket = session.ws_connect(pages[0]["webSocketDebuggerUrl"], max_msg_size=2**26)
        async with socket as opened:
            tab = Tab(opened)
            for domain in ("Runtime", "Log", "Network", "Page"):
                await tab.call(f"{domain}.enable")
            await script(tab)
