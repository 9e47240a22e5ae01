"""Asking servers for files: bounded patience, and one sentence where it ends.

`requests` does the asking: it honours the proxy and certificate settings that institutes need, and urllib3 beneath
it knows which answers are worth another try.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3 import BaseHTTPResponse
from urllib3.util import Retry

from flora.errors import RemoteError

# Tries after the first, and the pause before the second of them, s; it doubles each time.
RETRIES: Final = 4
BACKOFF = 0.5
# A server may ask for hours of patience; people rather hear that it is busy, s.
LONGEST_PAUSE = 60.0
# To connect, and between two packets, s.
TIMEOUT = (10.0, 60.0)

# Answers that may be different a moment later.
BUSY: Final = (408, 425, 429, 500, 502, 503, 504)
REFUSED: Final = (401, 403)
MISSING: Final = (404, 410)


class Patience(Retry):
    """Repetition that never waits for hours, whatever the server asks for."""

    def get_retry_after(self, response: BaseHTTPResponse) -> float | None:
        """Gives the pause that the server asks for, cut short; None where it asks for none."""
        pause = super().get_retry_after(response)
        return None if pause is None else min(pause, LONGEST_PAUSE)


def patience() -> Retry:
    """Gives the rule of repetition: busy servers and lost connections are asked again, a few times only."""
    return Patience(
        total=RETRIES,
        backoff_factor=BACKOFF,
        status_forcelist=BUSY,
        allowed_methods=None,
        raise_on_status=False,
    )


def open_session() -> requests.Session:
    """Gives a session that keeps connections open and repeats as `patience` says."""
    # Each repetition is a warning of urllib3's; people hear once how it ended.
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)
    session = requests.Session()
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(max_retries=patience()))
    return session


def get(
    session: requests.Session, url: str, *, headers: Mapping[str, str] | None = None, stream: bool = False
) -> requests.Response:
    """Asks for an address, several times where the server is busy.

    Args:
        session: As `open_session` gives it.
        url: Address, with or without signature.
        headers: Further headers of the request.
        stream: Leave the body to be read piece by piece.

    Returns:
        The answer: status 200 or 206, or 416 to a range that the file does not have.

    Raises:
        RemoteError: No such answer came.
    """
    try:
        answer = session.get(url, headers=headers, stream=stream, timeout=TIMEOUT)
    except requests.RequestException as error:
        raise RemoteError(why_failed(url, error)) from error
    if answer.status_code in (200, 206, 416):
        return answer
    answer.close()
    raise RemoteError(why_refused(url, answer.status_code))


def get_json(session: requests.Session, url: str) -> Any:
    """Asks for a JSON document.

    Raises:
        RemoteError: The server does not give it, or gives something else.
    """
    answer = get(session, url)
    try:
        return answer.json()
    except ValueError as error:
        raise RemoteError(
            f"'{bare(url)}' is not JSON, but begins with '{answer.text[:40]}'; expected a description of files. Check "
            "the address."
        ) from error


def require_there(session: requests.Session, url: str) -> None:
    """Checks that a server gives a file, by its first byte.

    Raises:
        RemoteError: It does not; the sentence says why.
    """
    get(session, url, headers={"Range": "bytes=0-0"}, stream=True).close()


def why_refused(url: str, status: int) -> str:
    """Says what an HTTP status means for someone who wants a file.

    Args:
        url: What was asked for.
        status: What was answered, not 200.

    Returns:
        One or two sentences, without the address's signature.
    """
    if status in REFUSED:
        return (
            f"'{bare(url)}' is refused (HTTP {status}): its signature has expired, or it needs an account; expected a "
            "file that may be read. Run the command again for a new signature, or take another source."
        )
    if status in MISSING:
        return (
            f"'{bare(url)}' does not exist on its server (HTTP {status}); expected a file. Check the address, or take "
            "another source."
        )
    if status in BUSY:
        return (
            f"'{_host(url)}' answered HTTP {status} to each of {RETRIES + 1} tries for '{bare(url)}'; expected the "
            "file. The server is busy or broken: run the command again later."
        )
    return f"'{bare(url)}' was answered with HTTP {status}; expected the file. Check the address."


def why_failed(url: str, error: Exception) -> str:
    """Says why no answer came.

    Args:
        url: What was asked for.
        error: What `requests` raised.
    """
    # After the last try requests wraps a time-out in a ConnectionError and keeps it in the text only.
    if isinstance(error, requests.Timeout) or "timed out" in str(error):
        return (
            f"'{_host(url)}' did not answer within {TIMEOUT[1]:g} s, {RETRIES + 1} times; expected '{bare(url)}'. "
            "Check the connection, or run the command again later."
        )
    if isinstance(error, requests.exceptions.RetryError):
        return why_refused(url, 503)
    if isinstance(error, requests.ConnectionError | requests.exceptions.ChunkedEncodingError):
        return (
            f"'{_host(url)}' cannot be reached, or hangs up; expected '{bare(url)}'. Check the connection and the "
            "proxy settings, and run the command again."
        )
    return f"'{bare(url)}' cannot be asked for ({type(error).__name__}); expected an http or https address."


def bare(url: str) -> str:
    """Gives an address without query and user, so that no signature is printed or stored."""
    parts = urlsplit(url)
    return parts._replace(query="", fragment="", netloc=parts.netloc.rsplit("@", 1)[-1]).geturl()


def is_web(path: str) -> bool:
    """Tells an http or https address."""
    return path.lower().startswith(("http://", "https://"))


def _host(url: str) -> str:
    return urlsplit(url).hostname or bare(url)
