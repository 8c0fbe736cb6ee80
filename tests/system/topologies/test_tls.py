"""TLS: everything works through it, and certificates are checked."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest
import trustme
from redis import Redis

from tests.conftest import PrivateServer, WaitUntil
from workkit import AsyncEnqueuer, Client, Enqueuer, ServerUnavailable, WorkerPool
from workkit.embedded import EmbeddedServer, _free_port

Secure: TypeAlias = Callable[..., tuple[EmbeddedServer, int]]


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def secure(private_server: PrivateServer, authority: trustme.CA, tmp_path: Path) -> Secure:
    """Start a server with a TLS port and a certificate for a name."""

    def start(name: str = "localhost") -> tuple[EmbeddedServer, int]:
        certificate = authority.issue_cert(name)
        paths = {part: tmp_path / f"{name}-{part}.pem" for part in ("cert", "key", "ca")}
        certificate.cert_chain_pems[0].write_to_path(paths["cert"])
        certificate.private_key_pem.write_to_path(paths["key"])
        authority.cert_pem.write_to_path(paths["ca"])
        port = _free_port()
        server = private_server(
            "redis",  # the wheel's Valkey is built without TLS
            config={
                "tls-port": str(port),
                "tls-cert-file": str(paths["cert"]),
                "tls-key-file": str(paths["key"]),
                "tls-ca-cert-file": str(paths["ca"]),
                "tls-auth-clients": "no",
                "bind": "127.0.0.1",
            },
        )
        return server, port

    return start


def test_enqueuer_pool_and_client_work_by_url(
    secure: Secure, tmp_path: Path, wait_until: WaitUntil
) -> None:
    _, port = secure()
    url = f"rediss://localhost:{port}/0?ssl_ca_certs={tmp_path / 'localhost-ca.pem'}"
    ran: list[int] = []
    pool = WorkerPool("work", url)
    pool.job("note", lambda job: ran.append(job.arg_int("n")))
    Enqueuer("work", url).enqueue_many([("note", {"n": n}) for n in range(200)])

    async def enqueue() -> None:
        enqueuer = AsyncEnqueuer("work", url)
        await enqueuer.enqueue("note", {"n": 200})
        await enqueuer.close()

    asyncio.run(enqueue())
    pool.start()
    wait_until(lambda: len(ran) == 201, 20)
    pool.stop(5)
    assert Client("work", url).queues()[0].count == 0


def test_a_certificate_of_an_unknown_authority_is_refused(secure: Secure) -> None:
    _, port = secure()
    with pytest.raises(ServerUnavailable, match="certificate"):
        Enqueuer("work", f"rediss://localhost:{port}/0").enqueue("note")


def test_a_certificate_for_another_name_is_refused(secure: Secure, tmp_path: Path) -> None:
    _, port = secure("elsewhere.example")
    url = f"rediss://localhost:{port}/0?ssl_ca_certs={tmp_path / 'elsewhere.example-ca.pem'}"
    with pytest.raises(ServerUnavailable, match="certificate"):
        Enqueuer("work", url).enqueue("note")


def test_the_settings_of_a_client_hold_as_well(secure: Secure, tmp_path: Path) -> None:
    _, port = secure()
    authority = str(tmp_path / "localhost-ca.pem")
    with Redis(host="localhost", port=port, ssl=True, ssl_ca_certs=authority) as client:
        Enqueuer("work", client).enqueue("note")
        assert client.llen("work:jobs:note") == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("ssl_ca_certs={}/nowhere.pem", "cannot read .*nowhere.pem, the file of ssl_ca_certs: No"),
        ("ssl_ca_certs={}", "cannot read .*, the file of ssl_ca_certs: Is a directory"),
        ("ssl_ca_certs={}/localhost-key.pem", "ssl_ca_certs, has no certificates in PEM format"),
        ("ssl_ca_path={}/nowhere", "nowhere, the value of ssl_ca_path, is not a folder"),
        ("ssl_certfile={0}/localhost-cert.pem&ssl_keyfile={0}/other-key.pem", "do not match"),
        ("ssl_certfile={}/localhost-cert.pem", "in another file, which ssl_keyfile names"),
    ],
)
def test_a_file_that_tls_cannot_use_is_named_with_its_option(
    secure: Secure, authority: trustme.CA, tmp_path: Path, options: str, said: str
) -> None:
    _, port = secure()
    authority.issue_cert("other").private_key_pem.write_to_path(tmp_path / "other-key.pem")
    url = f"rediss://localhost:{port}/0?{options.format(tmp_path)}"
    with pytest.raises(ServerUnavailable, match=said):
        Enqueuer("work", url).enqueue("note")
    with pytest.raises(ServerUnavailable, match=said):
        asyncio.run(enqueue_async(url))


def test_an_error_without_tls_on_a_port_with_tls_says_how_the_url_begins(secure: Secure) -> None:
    _, port = secure()
    url = f"redis://localhost:{port}/0"
    with pytest.raises(ServerUnavailable, match="begins with rediss://"):
        Enqueuer("work", url).enqueue("note")
    with pytest.raises(ServerUnavailable, match="begins with rediss://"):
        asyncio.run(enqueue_async(url))


def test_an_error_with_tls_on_a_port_without_tls_says_how_the_url_begins() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # as Redis waits for the end of a line
        url = f"rediss://127.0.0.1:{silent.getsockname()[1]}/0?socket_connect_timeout=0.2"
        with pytest.raises(ServerUnavailable, match="begins with redis://"):
            Enqueuer("work", url).enqueue("note")
        with pytest.raises(ServerUnavailable, match="begins with redis://"):
            asyncio.run(enqueue_async(url))


async def enqueue_async(url: str) -> object:
    return await AsyncEnqueuer("work", url).enqueue("note")
