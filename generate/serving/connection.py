"""JSON over HTTP to one server: bounded in time, size and tries. Standard library only.

Redirects are not followed and proxies not used, so that prompts and the API key go where the user said and nowhere
else.
"""

import email.utils
import http.client
import ipaddress
import json
import logging
import os
import socket
import ssl
import threading
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from ...core.errors import InputError, KeyMissing, UsageError
from ...core.version import __version__
from .errors import ServerError
from .mark_request import REFUSAL

API_KEY_VARIABLE = "COVOGUARD_SERVER_API_KEY"
_MEBIBYTE = 1 << 20
_CHUNK_BYTES = 1 << 16
_QUOTED_LENGTH = 300
_BAD_REQUEST = frozenset({400, 413, 422})
"""The prompt's fault: too long, say."""
_NOT_ALLOWED = frozenset({401, 403})

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Limits:
    """How long, how much and how often."""

    timeout_s: float = 600.0
    """For one answer, from the first byte sent to the last one read."""
    attempts: int = 5
    backoff_s: float = 1.0
    """Before the second try; doubled before each further one."""
    max_wait_s: float = 60.0
    """Between two tries, also where the server asks for more."""
    max_answer_bytes: int = 64 * _MEBIBYTE


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True)
class ServerAddress:
    """Where a server is: `http://host:port`, with a path before `/v1` if it has one."""

    scheme: str
    host: str
    port: int | None
    path: str

    @classmethod
    def parse(cls, url: str) -> Self:
        """Read a URL, with or without the final `/v1`. Raises `UsageError`. Warns of an open line to another host."""
        # the URL is quoted only once it is known to hold no password
        problem = "is not the address of a server; give http://HOST:PORT"
        try:
            parts = urllib.parse.urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError as error:
            raise UsageError(f"the URL {problem}") from error
        if parts.username is not None or parts.password is not None:
            raise UsageError(f"a URL with a user or password is not used; put an API key into ${API_KEY_VARIABLE}")
        if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment:
            raise UsageError(f"{url!r} {problem}")
        if parts.scheme == "http" and not _is_loopback(host):
            log.warning("%s: prompts, sound and API key travel unencrypted; use https, or a tunnel to the host", url)
        return cls(parts.scheme, host, port, parts.path.rstrip("/").removesuffix("/v1"))

    def __str__(self) -> str:
        """The URL again, without `/v1`."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}{'' if self.port is None else f':{self.port}'}{self.path}"


class ServerConnection:
    """Asks a server for JSON from any number of threads. `close` ends what is under way."""

    def __init__(self, address: ServerAddress, limits: Limits = DEFAULT_LIMITS) -> None:
        """The API key comes from `$COVOGUARD_SERVER_API_KEY`. Raises `UsageError` for one that no header can hold."""
        self.address = address
        self._limits = limits
        self._api_key = os.environ.get(API_KEY_VARIABLE, "")
        if not (self._api_key.isascii() and self._api_key.isprintable()):
            raise UsageError(f"${API_KEY_VARIABLE}: an API key is printable ASCII; set it again")
        self._closed = threading.Event()
        self._live: set[socket.socket] = set()
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        """Nothing is opened yet."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()

    def close(self) -> None:
        """End every request under way and every wait; each then raises `ServerError`."""
        self._closed.set()
        with self._lock:
            for each in self._live:
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)

    def ask(self, path: str, body: object | None = None) -> Any:
        """GET, or POST of `body`, below `/v1/`; -> the JSON that comes back with status 200.

        Tries again after 429, 5xx and broken connections. Raises `InputError` for a request that the server finds
        wrong, `KeyMissing` when it refuses the mark, and `ServerError` for all else.
        """
        content = None if body is None else json.dumps(body).encode("utf-8")
        problem = ""
        for attempt in range(self._limits.attempts):
            if attempt:
                log.info("%s: %s; trying again", self.address, problem)
            try:
                status, headers, answer = self._once(path, content)
            except ssl.SSLCertVerificationError as error:
                raise ServerError(f"{self.address}: its certificate is not trusted ({error.verify_message})") from error
            except (OSError, http.client.HTTPException) as error:
                problem, asked_wait_s = _broken(error), 0.0
            else:
                if status != http.HTTPStatus.TOO_MANY_REQUESTS and status < http.HTTPStatus.INTERNAL_SERVER_ERROR:
                    return self._content(status, headers, answer)
                problem, asked_wait_s = f"HTTP {status} {self._said(answer)}".rstrip(), retry_after_s(headers)
            wait_s = min(max(self._limits.backoff_s * 2**attempt, asked_wait_s), self._limits.max_wait_s)
            if self._closed.is_set() or (attempt + 1 < self._limits.attempts and self._closed.wait(wait_s)):
                raise ServerError(f"{self.address}: the request was given up")
        raise ServerError(
            f"{self.address}: {problem}, {self._limits.attempts} times; look after the server, then run the same "
            "command again: what is made is kept"
        )

    def _once(self, path: str, content: bytes | None) -> tuple[int, http.client.HTTPMessage, bytes]:
        headers = {"Accept": "application/json", "User-Agent": f"covoguard/{__version__}", "Connection": "close"}
        if content is not None:
            headers["Content-Type"] = "application/json"
        if self._api_key:
            headers["Authorization"] = f"Bearer {self._api_key}"
        until_s = time.monotonic() + self._limits.timeout_s
        with self._opened() as connection:
            method = "GET" if content is None else "POST"
            connection.request(method, f"{self.address.path}/v1/{path}", content, headers)
            response = connection.getresponse()
            return response.status, response.headers, self._read(response, until_s)

    @contextmanager
    def _opened(self) -> Iterator[http.client.HTTPConnection]:
        kind = http.client.HTTPSConnection if self.address.scheme == "https" else http.client.HTTPConnection
        connection = kind(self.address.host, self.address.port, timeout=self._limits.timeout_s)
        opened: socket.socket | None = None
        try:
            connection.connect()
            opened = connection.sock
            with self._lock:
                self._live.add(opened)
            if self._closed.is_set():  # `close` came between, and did not see this one
                raise ConnectionAbortedError("closed")
            yield connection
        finally:
            with self._lock:
                self._live.discard(opened) if opened else None
            connection.close()

    def _read(self, response: http.client.HTTPResponse, until_s: float) -> bytes:
        parts, size = [], 0
        while part := response.read(_CHUNK_BYTES):
            parts.append(part)
            size += len(part)
            if size > self._limits.max_answer_bytes:
                most = self._limits.max_answer_bytes // _MEBIBYTE
                raise ServerError(f"{self.address}: an answer of more than {most} MiB; is it a speech server?")
            if time.monotonic() > until_s:
                raise TimeoutError("the answer came too slowly")
        if response.length:
            raise http.client.IncompleteRead(b"", response.length)
        return b"".join(parts)

    def _content(self, status: int, headers: http.client.HTTPMessage, answer: bytes) -> Any:
        kind = headers.get_content_type()
        try:
            parsed = json.loads(answer) if "json" in kind else None
        except ValueError:
            parsed = None
        if isinstance(parsed, dict) and status == http.HTTPStatus.OK:
            status = _status_inside(parsed)
        if status == http.HTTPStatus.OK:
            if parsed is None:
                raise ServerError(f"{self.address}: answered with {kind} that is not JSON; is a vLLM server there?")
            return parsed
        said = self._said(answer)
        if REFUSAL in said:
            raise KeyMissing(f"{self.address}: refused the mark: {said.partition(REFUSAL)[2]}")
        if status in _BAD_REQUEST:
            raise InputError(f"{self.address}: refused the request (HTTP {status}): {said}")
        if status in _NOT_ALLOWED:
            raise ServerError(f"{self.address}: HTTP {status}; put its API key into ${API_KEY_VARIABLE}")
        raise ServerError(f"{self.address}: HTTP {status} {said}; check the URL and which model is served")

    def _said(self, answer: bytes) -> str:
        """What an error says, short, printable, and without the API key, should it be echoed."""
        try:
            record = json.loads(answer)
        except ValueError:
            return ""
        inner = record.get("error", record) if isinstance(record, dict) else None
        message = inner.get("message") if isinstance(inner, dict) else inner
        if not isinstance(message, str):
            return ""
        if self._api_key:
            message = message.replace(self._api_key, "***")
        printable = "".join(each if each.isprintable() else " " for each in message)
        return printable[:_QUOTED_LENGTH]


def retry_after_s(headers: http.client.HTTPMessage) -> float:
    """Seconds that a server asks to be left alone: a number, or a date as HTTP has them; 0 for none."""
    value = headers.get("Retry-After", "").strip()
    if value.isdecimal():
        return float(value)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return 0.0


def _status_inside(parsed: dict[str, Any]) -> int:
    """The status that an answer with status 200 has in its body: vLLM may put an error there."""
    error = parsed.get("error") or (parsed if parsed.get("object") == "error" else None)
    if error is None:
        return http.HTTPStatus.OK
    code = error.get("code") if isinstance(error, dict) else None
    return code if type(code) is int and code >= http.HTTPStatus.BAD_REQUEST else http.HTTPStatus.BAD_REQUEST


def _broken(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ConnectionRefusedError):
        return "nothing listens there"
    if isinstance(error, http.client.IncompleteRead):
        return "the answer broke off"
    return f"the connection failed ({error or type(error).__name__})"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
