"""TLS and mutual TLS, with an authority made up here: who is trusted, and who is not."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis as driver
from redis.backoff import ConstantBackoff
from redis.retry import Retry

from asynq_py import ActiveTask, Client, RedisConfig, Server, Task
from asynq_py.errors import BrokerUnavailableError
from tests.eventually import eventually
from tests.ports import free_ports

pytestmark = pytest.mark.skipif(
    shutil.which("openssl") is None or shutil.which("redis-server") is None,
    reason="needs openssl and a redis-server with TLS",
)


@dataclass(frozen=True)
class Certificates:
    folder: Path

    def make(self, name: str, *, names: str = "", days: int = 2, by: str | None = "ca") -> None:
        """Make `name`.crt and `name`.key; `by` None: an authority of its own."""
        key, certificate = str(self.folder / f"{name}.key"), str(self.folder / f"{name}.crt")
        new = ["openssl", "req", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-subj", f"/CN={name}"]
        if by is None:
            # what Python 3.13 asks of an authority
            usage = ("-addext", "keyUsage=critical,keyCertSign,cRLSign")
            _run(*new, "-x509", "-days", str(days), "-out", certificate, *usage)
            return
        request, extensions = self.folder / f"{name}.csr", self.folder / f"{name}.ext"
        alternative = f"subjectAltName={names}\n" if names else ""
        extensions.write_text(f"authorityKeyIdentifier=keyid\n{alternative}")
        _run(*new, "-out", str(request))
        _run(
            *("openssl", "x509", "-req", "-in", str(request), "-days", str(days), "-out", certificate),
            *("-CA", str(self.folder / f"{by}.crt"), "-CAkey", str(self.folder / f"{by}.key")),
            *("-CAcreateserial", "-extfile", str(extensions)),
        )

    def __getitem__(self, name: str) -> str:
        return str(self.folder / name)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


@pytest.fixture(scope="module")
def certificates() -> Generator[Certificates]:
    with tempfile.TemporaryDirectory(prefix="asynq-py-test-") as folder:
        made = Certificates(Path(folder))
        made.make("ca", by=None)
        made.make("other", by=None)
        made.make("server", names="DNS:localhost,IP:127.0.0.1")
        made.make("elsewhere", names="DNS:elsewhere.example")
        made.make("expired", names="DNS:localhost,IP:127.0.0.1", days=-1)
        made.make("client")
        yield made


class TLSServer:
    def __init__(self, certificates: Certificates, name: str, *, clients: str) -> None:
        self.port = free_ports(1)[0]
        self._process = subprocess.Popen(
            [
                *("redis-server", "--port", "0", "--tls-port", str(self.port), "--save", ""),
                *("--dir", str(certificates.folder), "--logfile", str(certificates.folder / "log")),
                *(
                    "--tls-cert-file",
                    certificates[f"{name}.crt"],
                    "--tls-key-file",
                    certificates[f"{name}.key"],
                ),
                *("--tls-ca-cert-file", certificates["ca.crt"], "--tls-auth-clients", clients),
            ]
        )
        with driver.Redis(
            port=self.port, ssl=True, ssl_cert_reqs="none", ssl_check_hostname=False,
            ssl_certfile=certificates["client.crt"], ssl_keyfile=certificates["client.key"],
            retry=Retry(ConstantBackoff(0.02), 250),
        ) as client:  # fmt: skip
            client.ping()

    def stop(self) -> None:
        self._process.kill()
        self._process.wait(10)


def _server(name: str, *, clients: str = "no") -> Any:
    @pytest.fixture(scope="module")
    def server(certificates: Certificates) -> Generator[int]:
        server = TLSServer(certificates, name, clients=clients)
        yield server.port
        server.stop()

    return server


port = _server("server")
mutual_port = _server("server", clients="yes")
elsewhere_port = _server("elsewhere")
expired_port = _server("expired")


async def ping(redis: str | RedisConfig) -> None:
    async with Client(redis, timeout=40) as client:
        await client.ping()


async def test_a_server_whose_authority_we_trust_is_used_by_url_and_by_config(
    port: int, certificates: Certificates
) -> None:
    for host in ("localhost", "127.0.0.1"):
        await ping(f"rediss://{host}:{port}?ssl_ca_certs={certificates['ca.crt']}")
        await ping(RedisConfig(host=host, port=port, tls=True, tls_ca_file=certificates["ca.crt"]))
    await ping(f"valkeys://localhost:{port}?ssl_ca_certs={certificates['ca.crt']}")


async def test_client_and_worker_talk_by_tls(port: int, certificates: Certificates) -> None:
    ran: list[str] = []

    async def handler(task: ActiveTask) -> None:
        ran.append(task.id)

    async def seen() -> list[str]:
        return ran

    url = f"rediss://localhost:{port}?ssl_ca_certs={certificates['ca.crt']}"
    async with Client(url) as client, Server(url, handler):
        await client.enqueue(Task("t"), task_id="a")
        await eventually(seen)
    assert ran == ["a"]


async def test_an_unknown_authority_is_refused(port: int, certificates: Certificates) -> None:
    with pytest.raises(BrokerUnavailableError, match="certificate verify failed"):
        await ping(f"rediss://localhost:{port}")  # the system's authorities do not know it
    with pytest.raises(BrokerUnavailableError, match="certificate verify failed"):
        await ping(f"rediss://localhost:{port}?ssl_ca_certs={certificates['other.crt']}")


async def test_a_certificate_for_another_host_is_refused(
    elsewhere_port: int, certificates: Certificates
) -> None:
    url = f"rediss://localhost:{elsewhere_port}?ssl_ca_certs={certificates['ca.crt']}"
    with pytest.raises(BrokerUnavailableError, match="Hostname mismatch"):
        await ping(url)
    await ping(f"{url}&ssl_check_hostname=no")


async def test_an_expired_certificate_is_refused(expired_port: int, certificates: Certificates) -> None:
    with pytest.raises(BrokerUnavailableError, match="expired"):
        await ping(f"rediss://localhost:{expired_port}?ssl_ca_certs={certificates['ca.crt']}")


async def test_a_server_may_ask_for_our_certificate(mutual_port: int, certificates: Certificates) -> None:
    url = f"rediss://localhost:{mutual_port}?ssl_ca_certs={certificates['ca.crt']}"
    with pytest.raises(BrokerUnavailableError):
        await ping(url)

    await ping(f"{url}&ssl_certfile={certificates['client.crt']}&ssl_keyfile={certificates['client.key']}")
    await ping(
        RedisConfig(
            host="localhost", port=mutual_port, tls=True, tls_ca_file=certificates["ca.crt"],
            tls_cert_file=certificates["client.crt"], tls_key_file=certificates["client.key"],
        )
    )  # fmt: skip


async def test_plain_talk_to_a_server_of_tls_is_told(port: int) -> None:
    with pytest.raises(BrokerUnavailableError):
        await ping(f"redis://localhost:{port}")
