"""TLS and mutual TLS on both ports, and files that are no good."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path

import aiohttp
import grpc
import pytest

from serving import command_line
from tests.serving import saved_models
from tests.serving.certificates import Authority, Party, context, credentials, ssl_config
from tests.serving.servers import PREDICTION, Endpoint, Question, serving
from wire import messages

HALF = Question("default")


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="module")
def server(authority: Authority) -> Party:
    return authority.issue()


@pytest.fixture
def base_path(tmp_path: Path) -> Path:
    saved_models.half_plus_two(tmp_path / "model" / "1")
    return tmp_path / "model"


async def _by_grpc(endpoint: Endpoint, trusting: grpc.ChannelCredentials) -> list[float]:
    target = f"127.0.0.1:{endpoint.server.grpc_port}"
    async with grpc.aio.secure_channel(target, trusting) as channel:
        call = channel.unary_unary(f"/{PREDICTION}/Predict")
        answer = messages.PredictResponse.FromString(
            await call(HALF.request().SerializeToString(), timeout=5)
        )
        return list(answer.outputs["y"].float_val)


async def _by_rest(endpoint: Endpoint, trusting: object) -> list[float]:
    url = f"https://127.0.0.1:{endpoint.server.rest_port}{HALF.path}"
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, data=HALF.body(), ssl=trusting) as answer,  # type: ignore[arg-type]
    ):
        outputs: list[float] = json.loads(await answer.read())["outputs"]
        return outputs


async def test_both_ports_speak_tls(
    authority: Authority, server: Party, base_path: Path, tmp_path: Path
) -> None:
    file = ssl_config(tmp_path / "ssl.config", server)
    flags = (f"--model_base_path={base_path}", f"--ssl_config_file={file}", "--rest_api_ssl")
    async with serving(*flags) as endpoint:
        assert await _by_grpc(endpoint, credentials(authority)) == [2.5, 3.0, 4.5]
        assert await _by_rest(endpoint, context(authority, tmp_path)) == [2.5, 3.0, 4.5]
        stranger = Authority()
        with pytest.raises(grpc.aio.AioRpcError):
            await _by_grpc(endpoint, credentials(stranger))
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await _by_rest(endpoint, context(stranger, tmp_path))
        with pytest.raises(aiohttp.ClientError):
            await endpoint.rest("GET", "/healthz")


async def test_rest_stays_plain_without_its_flag(server: Party, base_path: Path, tmp_path: Path) -> None:
    file = ssl_config(tmp_path / "ssl.config", server)
    async with serving(f"--model_base_path={base_path}", f"--ssl_config_file={file}") as endpoint:
        assert await endpoint.predict("rest", HALF) == {"y": [2.5, 3.0, 4.5]}


async def test_mutual_tls_lets_in_clients_of_the_authority_alone(
    authority: Authority, server: Party, base_path: Path, tmp_path: Path
) -> None:
    clients = Authority()
    known, unknown = clients.issue("known@client.test"), Authority().issue("unknown@client.test")
    file = ssl_config(tmp_path / "ssl.config", server, clients=clients)
    flags = (f"--model_base_path={base_path}", f"--ssl_config_file={file}", "--rest_api_ssl")
    async with serving(*flags) as endpoint:
        assert await _by_grpc(endpoint, credentials(authority, known)) == [2.5, 3.0, 4.5]
        assert await _by_rest(endpoint, context(authority, tmp_path, known)) == [2.5, 3.0, 4.5]
        for client in (None, unknown):
            with pytest.raises(grpc.aio.AioRpcError):
                await _by_grpc(endpoint, credentials(authority, client))
            with pytest.raises((aiohttp.ClientError, OSError)):
                await _by_rest(endpoint, context(authority, tmp_path, client))


async def test_tls_greeting_that_does_not_come_is_hung_up_on(
    server: Party, base_path: Path, tmp_path: Path
) -> None:
    file = ssl_config(tmp_path / "ssl.config", server)
    flags = (f"--model_base_path={base_path}", f"--ssl_config_file={file}", "--rest_api_ssl")
    async with serving(*flags, "--rest_api_idle_timeout_seconds=0.2") as endpoint:
        reader, writer = await asyncio.open_connection("127.0.0.1", endpoint.server.rest_port)
        async with asyncio.timeout(5):
            assert await reader.read() == b""
        writer.close()


def _locked(key: str) -> str:
    from cryptography.hazmat.primitives import serialization as pem

    loaded = pem.load_pem_private_key(key.encode(), None)
    lock = pem.BestAvailableEncryption(b"password")
    return loaded.private_bytes(pem.Encoding.PEM, pem.PrivateFormat.PKCS8, lock).decode()


def _faulty(server: Party, fault: str) -> Mapping[str, object]:
    other = Authority().issue()
    broken = "\n".join(["-----BEGIN CERTIFICATE-----", "bm8=", "-----END CERTIFICATE-----", ""])
    sound: dict[str, object] = {"server_key": server.key, "server_cert": server.certificate}
    faults: dict[str, dict[str, object]] = {
        "damaged certificate": {"server_cert": broken},
        "damaged key": {"server_key": broken.replace("CERTIFICATE", "PRIVATE KEY")},
        "cut certificate": {"server_cert": server.certificate[:300]},
        "key of another": {"server_key": other.key},
        "key with a password": {"server_key": _locked(server.key)},
        "path for a text": {"server_cert": "/etc/ssl/certificate.pem"},
        "damaged authority": {"custom_ca": broken, "client_verify": True},
        "no authority": {"client_verify": True},
    }
    return sound | faults[fault]


@pytest.mark.parametrize(
    "fault",
    [
        *("damaged certificate", "damaged key", "cut certificate", "key of another", "key with a password"),
        *("path for a text", "damaged authority", "no authority"),
    ],
)
def test_file_that_is_no_good_is_one_line_and_code_2(
    server: Party, tmp_path: Path, capsys: pytest.CaptureFixture[str], fault: str
) -> None:
    file = tmp_path / "ssl.config"
    fields = _faulty(server, fault)
    file.write_text("\n".join(f"{name}: {json.dumps(value)}" for name, value in fields.items()))
    with pytest.raises(SystemExit) as ending:
        command_line.main([f"--model_base_path={tmp_path}", f"--ssl_config_file={file}"])
    lines = capsys.readouterr().err.splitlines()
    assert ending.value.code == 2
    assert len(lines) == 1, lines
    assert lines[0].startswith("kedge: ")
    assert str(file) in lines[0]
    assert "PRIVATE" not in lines[0]


def test_rest_tls_without_a_certificate_is_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="2"):
        command_line.main([f"--model_base_path={tmp_path}", "--rest_api_ssl"])


def test_no_key_is_left_on_the_disk(server: Party, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from serving import tls

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    assert tls.read(ssl_config(tmp_path / "ssl.config", server)).server_key == server.key
    assert not list((tmp_path / "temporary").iterdir())
