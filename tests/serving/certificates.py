"""Certificates for 127.0.0.1, made for one test run, and the files that the server reads them from."""

import json
import ssl
from dataclasses import dataclass
from pathlib import Path

import grpc
import trustme


@dataclass(frozen=True)
class Party:
    """A key and its certificate as PEM texts."""

    key: str
    certificate: str


class Authority:
    """Signs certificates of servers and clients."""

    def __init__(self) -> None:
        self._authority = trustme.CA()
        self.certificate: str = self._authority.cert_pem.bytes().decode()

    def issue(self, name: str = "127.0.0.1") -> Party:
        """A new key with a certificate for an address, or for a client of this name."""
        issued = self._authority.issue_cert(name)
        chain = "".join(each.bytes().decode() for each in issued.cert_chain_pems)
        return Party(issued.private_key_pem.bytes().decode(), chain)


def ssl_config(path: Path, server: Party, *, clients: Authority | None = None) -> Path:
    """Write a server's SSLConfig; with `clients` it asks for certificates of theirs."""
    lines = [f"server_key: {json.dumps(server.key)}", f"server_cert: {json.dumps(server.certificate)}"]
    if clients is not None:
        lines += [f"custom_ca: {json.dumps(clients.certificate)}", "client_verify: true"]
    path.write_text("\n".join(lines))
    return path


def credentials(authority: Authority, client: Party | None = None) -> grpc.ChannelCredentials:
    """What a gRPC client trusts, and who it is."""
    own = (client.key.encode(), client.certificate.encode()) if client else (None, None)
    return grpc.ssl_channel_credentials(authority.certificate.encode(), *own)


def context(authority: Authority, directory: Path, client: Party | None = None) -> ssl.SSLContext:
    """The same for an HTTP client; a client's key goes through a file in `directory`."""
    made = ssl.create_default_context(cadata=authority.certificate)
    if client is not None:
        file = directory / "client.pem"
        file.write_text(client.key + client.certificate)
        made.load_cert_chain(file)
    return made
