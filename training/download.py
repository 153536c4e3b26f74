"""Downloading one file of a data set: whole and verified, or not at all.

Jobs that share a directory wait for each other, so that a file is downloaded once. What may be better a
moment later is tried again. The proxies that the environment names (HTTPS_PROXY, NO_PROXY) are used.
"""

import hashlib
import http.client
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path

from models.model import DataFile
from training import store, whole_file
from training.errors import DataError

FILE_LIMIT = 1 << 28
"""The most bytes that a file of a data set may have."""
TIMEOUT = 30.0
"""Seconds without an answer or any data."""
DELAYS = (0.5, 1.0, 2.0)
"""Seconds before each further attempt."""
PASSING = {408, 425, 429}
"""HTTP codes of the client's side that may be others a moment later, as those from 500 on may."""
INSTEAD = "put it in a directory and name that with --data-dir, or train on synthetic data with --sample"


def download(
    file: DataFile, path: Path, why: str, *, tell: Callable[[str], None], sleep: Callable[[float], None]
) -> None:
    """Download a file to `path`, which appears only when the checksum is right.

    Where another job has put it there meanwhile, that is all. `tell` takes a line on what is done, `sleep`
    the seconds to wait before the next attempt. Raises DataError, whose message begins with `why` there was
    need of it.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with store.locked(path.parent):
            if not path.exists():
                whole_file.write(path, _checked(file, why, tell, sleep))
    except OSError as error:
        raise DataError(
            f"{file.name} cannot be kept in {path.parent}: {error.strerror}; name another directory with"
            " --data-dir or KERAS_HOME"
        ) from error


def _checked(file: DataFile, why: str, tell: Callable[[str], None], sleep: Callable[[float], None]) -> bytes:
    tell(f"downloading {file.url}{_proxy(file.url)}")
    content = _get_patiently(file.url, why, tell, sleep)
    algorithm, _, expected = file.checksum.partition(":")
    came = hashlib.new(algorithm, content, usedforsecurity=False).hexdigest()
    if came != expected:
        raise DataError(
            f"{why}, and what came from {file.url} ({len(content)} bytes) has the {algorithm} {came}; "
            f"expected {expected}: {INSTEAD}"
        )
    return content


def _get_patiently(url: str, why: str, tell: Callable[[str], None], sleep: Callable[[float], None]) -> bytes:
    """Return what is at the address, after a few attempts if need be."""
    delays = iter(DELAYS)
    while True:
        try:
            return _get(url)
        except (OSError, http.client.HTTPException, ValueError) as error:
            reason = getattr(error, "reason", None) or error
            delay = next(delays, None) if _may_pass(error) else None
            if delay is None:
                raise DataError(
                    f"{why}, and {url} could not be downloaded{_proxy(url)} ({reason}): {INSTEAD}"
                ) from error
            tell(f"{url} could not be downloaded ({reason}); trying again in {delay:g} s")
            sleep(delay)


def _may_pass(error: Exception) -> bool:
    """Tell whether what went wrong may be right a moment later."""
    if isinstance(error, urllib.error.HTTPError):
        return error.code in PASSING or error.code >= http.HTTPStatus.INTERNAL_SERVER_ERROR
    wrong = (ValueError, ssl.SSLCertVerificationError)
    return not isinstance(error, wrong) and not isinstance(getattr(error, "reason", None), wrong)


def _proxy(url: str) -> str:
    """Say which proxy an address is asked through, without the password that may be in its own address."""
    parts = urllib.parse.urlsplit(url) if "[" not in url else None
    if parts is None or urllib.request.proxy_bypass(parts.hostname or ""):
        return ""
    proxy = urllib.request.getproxies().get(parts.scheme)
    return f" through the proxy {urllib.parse.urlsplit(proxy).netloc.rpartition('@')[2]}" if proxy else ""


def _get(url: str) -> bytes:
    if not url.startswith(("https://", "http://")):
        raise ValueError(f"the address {url!r} does not begin with https:// or http://")
    # An opener of its own: the shared one keeps the proxies of the first time that it was used.
    try:
        with urllib.request.build_opener().open(url, timeout=TIMEOUT) as answer:
            content: bytes = answer.read(FILE_LIMIT + 1)
            declared = answer.headers["Content-Length"]
    except urllib.error.HTTPError as error:
        error.close()  # it holds the connection
        raise
    if len(content) > FILE_LIMIT:
        raise ValueError(f"it is larger than {FILE_LIMIT} bytes")
    if declared is not None and len(content) != int(declared):
        raise ConnectionError(f"the connection broke off after {len(content)} of {declared} bytes")
    return content
