"""Files of others, made ready to be read: signed where needed, and known to be there."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from flora.errors import RemoteError
from flora.transfer import bare, is_web, open_session, require_there

# What GDAL does with http addresses. A value that the user has set stays.
PATIENCE: Final = {
    "GDAL_HTTP_CONNECTTIMEOUT": "10",
    "GDAL_HTTP_TIMEOUT": "120",
    "GDAL_HTTP_MAX_RETRY": "4",
    "GDAL_HTTP_RETRY_DELAY": "0.5",
}

# Containers of the Planetary Computer, which are read with short-lived signatures that it gives to everyone.
SIGNED_HOST: Final = ".blob.core.windows.net"


def prepare(files: Sequence[str]) -> list[str]:
    """Checks that web servers give files, so that a fault is told in their own words and not in GDAL's.

    Args:
        files: Addresses, signed, or paths.

    Returns:
        The same.

    Raises:
        RemoteError: One is refused, is not there, or does not answer.
    """
    for key, value in PATIENCE.items():
        os.environ.setdefault(key, value)
    locked = next((file for file in files if file.startswith("s3://")), None)
    if locked is not None and not _has_keys():
        raise RemoteError(
            f"'{locked}' lies in a store that asks for keys, and none are set; expected AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY (CDSE gives them with an account). Set them, or use --catalog planetary-computer."
        )
    remote = [file for file in files if is_web(file)]
    if remote:
        with open_session() as session:
            for file in remote:
                require_there(session, file)
    return list(files)


def _has_keys() -> bool:
    """Tells whether GDAL will find keys for object stores where it looks for them."""
    named = any(os.environ.get(name) for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_NO_SIGN_REQUEST"))
    return named or Path("~/.aws/credentials").expanduser().is_file()


def sign(href: str) -> str:
    """Signs an address of the Planetary Computer; gives others as they are.

    Signatures last less than an hour, so a file is signed when it is opened, not when it is found.

    Raises:
        RemoteError: No signature can be had.
    """
    if not (urlsplit(href).hostname or "").endswith(SIGNED_HOST) or "sig=" in href:
        return href
    import requests

    try:
        from planetary_computer import sign as signed  # type: ignore[import-untyped]
    except ImportError as error:
        raise RemoteError(
            f"'{bare(href)}' is read with a signature of the Planetary Computer; the package 'planetary-computer' "
            "gives it. Install it with pip install 'flora-sar[fetch]'."
        ) from error
    try:
        return str(signed(href))
    except requests.RequestException as error:
        raise RemoteError(
            f"The Planetary Computer gave no signature for '{bare(href)}' ({type(error).__name__}); expected one. "
            "Check the connection, or run the command again later."
        ) from error
