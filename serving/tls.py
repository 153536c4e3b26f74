"""TLS from --ssl_config_file: checked once, before anything is loaded, then used by both ports."""

import ssl
import tempfile
from pathlib import Path

from serving.config_files import Tls, read_tls
from wire.errors import Code, StatusError

FLAG = "--ssl_config_file"
GRPC, REST = "h2", "http/1.1"


def read(path: Path) -> Tls:
    """The file's certificate, key and authorities.

    StatusError: they cannot be read or do not fit each other. Clients would be refused without a word.
    """
    tls = read_tls(path)
    if tls.client_verify and not tls.custom_ca:
        raise _invalid(path, "client_verify needs custom_ca, the authority of the clients' certificates")
    try:
        context(tls, REST)
    except (ssl.SSLError, ValueError) as error:
        raise _invalid(path, _reason(error)) from error
    return tls


def context(tls: Tls, protocol: str) -> ssl.SSLContext:
    """What a server of this protocol, by its name in ALPN, is given.

    ssl.SSLError or ValueError: the texts are no valid PEM.
    """
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.set_alpn_protocols([protocol])
    # OpenSSL's functions take files; this one nobody else may read, and it is gone at once.
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
        file.write(f"{tls.server_key}\n{tls.server_cert}\n")
        file.flush()
        # Without a password to give, OpenSSL would ask for one on the terminal.
        made.load_cert_chain(file.name, password=lambda: "")
    if tls.custom_ca:
        made.load_verify_locations(cadata=tls.custom_ca)
    if tls.client_verify:
        made.verify_mode = ssl.CERT_REQUIRED
    return made


def _invalid(path: Path, reason: str) -> StatusError:
    return StatusError(Code.INVALID_ARGUMENT, f"{FLAG}={path}: {reason}")


def _reason(error: Exception) -> str:
    named = getattr(error, "reason", None)
    words = {
        "KEY_VALUES_MISMATCH": "server_key is not the key of server_cert",
        "NO_CERTIFICATE_OR_CRL_FOUND": "custom_ca has no certificate",
    }
    if named in words:
        return words[named]
    if getattr(error, "verify_code", None) is None and named is None:
        return f"a key or certificate in it is damaged, or the key has a password ({error})"
    return f"a key or certificate in it is damaged, or the key has a password ({named})"
