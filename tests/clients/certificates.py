"""Certificates made for a test, by the command openssl: an authority, a server's and a client's."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

NAME = "server.test"


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, as PEM files."""

    certificate: Path
    key: Path


@dataclass(frozen=True)
class Certificates:
    """All that both sides need; the server's certificate is for 127.0.0.1 and for `NAME`."""

    authority: Path
    server: Pair
    client: Pair


def make(directory: Path) -> Certificates:
    authority = _authority(directory)
    names = f"subjectAltName=IP:127.0.0.1,DNS:{NAME}"
    server = _signed(directory, authority, "server", names)
    client = _signed(directory, authority, "client", "subjectAltName=DNS:client.test")
    return Certificates(authority.certificate, server, client)


def _authority(directory: Path) -> Pair:
    pair = Pair(directory / "ca.pem", directory / "ca.key")
    _openssl(
        "req", "-x509", *_key(pair), "-subj", "/CN=authority of a test", "-days", "2",
        "-addext", "keyUsage=critical,keyCertSign,cRLSign", "-out", str(pair.certificate),
    )  # fmt: skip
    return pair


def _signed(directory: Path, authority: Pair, name: str, extension: str) -> Pair:
    pair = Pair(directory / f"{name}.pem", directory / f"{name}.key")
    _openssl(
        "req", "-x509", *_key(pair), "-subj", f"/CN={name}", "-days", "2",
        "-CA", str(authority.certificate), "-CAkey", str(authority.key),
        "-addext", extension, "-addext", "basicConstraints=critical,CA:FALSE", "-out", str(pair.certificate),
    )  # fmt: skip
    return pair


def _key(pair: Pair) -> list[str]:
    return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", str(pair.key)]


def _openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)
