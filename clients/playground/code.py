"""A request as code to copy: curl for a shell, and Python with kedge's clients."""

import base64
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace

from clients import rest_encoding, signatures
from clients.address import Address
from clients.client import Client
from clients.exchange import SERVING_DEFAULT, ModelSpec
from clients.raw_inputs import has_text
from models import catalogue, pictures
from models.images import Images
from models.model import Inputs

REST_PORT = 8501
GUESSED = "# the usual port of REST: the playground was given no http:// address\n"
OPTIONS = "# with the TLS files, headers and proxy that the playground was given\n"


@dataclass(frozen=True)
class Argument:
    """An input of Python's `predict`, and the lines that make it."""

    expression: str
    imports: tuple[str, ...] = ()
    before: str = ""


def of_picture(image: Images) -> Argument:
    """A picture as the bytes of a PNG file, which the client reads."""
    data = base64.b64encode(pictures.png(image)).decode()
    return Argument("picture", ("import base64",), f'picture = base64.b64decode("{data}")\n')


def of_text(text: str) -> Argument:
    """A text as it is."""
    return Argument(repr(text))


def curl(servers: Mapping[str, Client], model: str, inputs: Inputs, version: int | None) -> str:
    """The request that the REST client sends for these inputs, for a shell."""
    rest = servers.get("http")
    client = rest or next(iter(servers.values()))
    address = client.address if rest else _usual_rest(client.address)
    described = catalogue.find(model)
    if has_text(inputs):
        name, arrays = described.raw_request(inputs)
    else:
        name, arrays = SERVING_DEFAULT, described.preprocess(inputs, None)
    signature = signatures.declared(described.signature_specs[name])
    exchange = rest_encoding.predict(ModelSpec(model, version, signature=name), arrays, signature)
    token = '  -H "Authorization: Bearer $TOKEN" \\\n' if client.settings.token is not None else ""
    body = shlex.quote(exchange.body.decode())
    command = f"curl {shlex.quote(f'{address}{exchange.path}')} \\\n{token}  -d {body}\n"
    return f"{'' if rest else GUESSED}{_note(client)}{command}"


def python(client: Client, model: str, argument: Argument, version: int | None) -> str:
    """A program that asks the same with kedge's client."""
    token = client.settings.token is not None
    imports = sorted({*argument.imports, *(("import os",) if token else ())})
    options = ', token=os.environ["TOKEN"]' if token else ""
    chosen = "" if version is None else f", version={version}"
    return (
        "".join(f"{line}\n" for line in imports)
        + ("\n" if imports else "")
        + "from clients import connect\n\n"
        + argument.before
        + _note(client)
        + f'with connect("{client.address}"{options}) as client:\n'
        + f'    print(client.predict("{model}", {argument.expression}{chosen}))\n'
    )


def _usual_rest(address: Address) -> Address:
    return replace(address, scheme="https" if address.secure else "http", port=REST_PORT)


def _note(client: Client) -> str:
    settings = client.settings
    return OPTIONS if settings.tls or settings.metadata or settings.proxy else ""
