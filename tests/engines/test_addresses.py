"""A worker's URL has one spelling, leads to a public address, and the address that was checked is connected to."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nadg_kernel.engines.addresses import (
    AddressRefused,
    canonical_origin,
    checked_addresses,
    is_public,
    parse_origin,
    proxy_for,
)
from nadg_kernel.engines.client import WorkerClient, WorkerEndpoint
from nadg_kernel.engines.faults import Unreached
from nadg_kernel.settings import Secret
from tests.support import fault_server as faults


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://Example.ORG", "https://example.org"),
        ("https://example.org:443/", "https://example.org"),
        ("https://example.org.", "https://example.org"),
        ("https://example.org:8443", "https://example.org:8443"),
        ("https://bücher.example", "https://xn--bcher-kva.example"),
        ("https://[2001:DB8::0:1]:443", "https://[2001:db8::1]"),
        ("http://127.0.0.1:7860/", "http://127.0.0.1:7860"),
        ("http://localhost:80", "http://localhost"),
        ("http://[::1]:5", "http://[::1]:5"),
        ("http://[::ffff:127.0.0.1]:5", "http://127.0.0.1:5"),
        ("https://user-space.hf.space", "https://user-space.hf.space"),
        (" https://a_b.example ", "https://a_b.example"),
    ],
)
def test_one_spelling(url, origin):
    assert canonical_origin(url) == origin
    assert canonical_origin(origin) == origin


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://example.org", "https"),
        ("http://10.0.0.1:7860", "https"),
        ("ftp://example.org", "https"),
        ("example.org", "https"),
        ("", "https"),
        ("https://", "host name"),
        ("https://user:hunter2@example.org", "user or password"),
        ("https://example.org@evil.example", "user or password"),
        ("https://example.org/path", "only https"),
        ("https://example.org?x=1", "only https"),
        ("https://example.org/#x", "only https"),
        ("https://example.org:99999", "worker URL"),
        ("https://[::1", "worker URL"),
        ("https://exa mple.org", "host name"),
        ("https://2130706433", "host name"),
        ("https://0x7f.1", "host name"),
        ("https://127.1", "host name"),
        ("https://ex\nample.org:x", "worker URL"),
    ],
)
def test_what_is_no_worker_url(url, says):
    with pytest.raises(AddressRefused, match=says) as caught:
        parse_origin(url)
    assert "hunter2" not in str(caught.value)


@given(st.text(max_size=40))
def test_any_text_is_an_origin_or_refused(text):
    try:
        origin = canonical_origin(text)
    except AddressRefused:
        return
    assert canonical_origin(origin) == origin


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.215.14", True),
        ("2606:2800:21f:cb07:6820:80da:af6b:8b2c", True),
        ("127.0.0.1", False),
        ("0.0.0.0", False),
        ("10.1.2.3", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("192.0.2.1", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::1", False),
        ("::", False),
        ("fe80::1", False),
        ("fc00::1", False),
        ("ff02::1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:10.0.0.1", False),
        ("64:ff9b::7f00:1", False),
        ("64:ff9b::a9fe:a9fe", False),
        ("2002:7f00:1::", False),
    ],
)
def test_public_addresses(address, public):
    assert is_public(ipaddress.ip_address(address)) is public


def resolver(monkeypatch, *answers):
    """The resolver gives these addresses, one tuple per question, the last one for all that follow."""
    left = list(answers)

    async def getaddrinfo(self, host, port, **_more):
        found = left.pop(0) if len(left) > 1 else left[0]
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", getaddrinfo)


async def test_only_public_answers_of_the_resolver_are_used(monkeypatch):
    resolver(monkeypatch, ("10.0.0.1", "93.184.215.14", "127.0.0.1"))
    assert [str(a) for a in await checked_addresses(parse_origin("https://w.example"))] == ["93.184.215.14"]


async def test_a_name_that_leads_inside_is_refused(monkeypatch):
    resolver(monkeypatch, ("169.254.169.254",))
    with pytest.raises(AddressRefused, match=r"leads to 169\.254\.169\.254"):
        await checked_addresses(parse_origin("https://w.example"))
    allowed = await checked_addresses(parse_origin("https://w.example"), allow_private=True)
    assert str(allowed[0]) == "169.254.169.254"


async def test_localhost_that_leads_elsewhere_is_refused(monkeypatch):
    resolver(monkeypatch, ("93.184.215.14",))
    with pytest.raises(AddressRefused, match="leads to"):
        await checked_addresses(parse_origin("http://localhost:7860"))


def endpoint(url, **more):
    return WorkerEndpoint(worker_id="w", url=url, token=Secret("t"), **more)


async def test_the_checked_address_is_connected_to_and_not_asked_for_again(monkeypatch, server):
    """A name that answers otherwise the second time (DNS rebinding) changes nothing."""
    resolver(monkeypatch, ("127.0.0.1",), ("10.255.255.1",))
    client = WorkerClient(endpoint(f"http://localhost:{server.port}"))
    assert (await client.health()).boot_id == faults.BOOT
    assert (await client.status()).python == "3.11"
    assert [call.headers["host"] for call in server.calls] == [f"localhost:{server.port}"] * 2
    await client.close()


async def test_the_next_address_is_tried_after_one_that_fails(monkeypatch, server):
    resolver(monkeypatch, ("127.0.0.2", "127.0.0.1"))
    client = WorkerClient(endpoint(f"http://localhost:{server.port}"))
    with pytest.raises(Unreached):
        await client.health()
    assert (await client.health()).boot_id == faults.BOOT
    await client.close()


async def test_a_name_that_does_not_resolve(monkeypatch):
    resolver(monkeypatch, ())
    client = WorkerClient(endpoint("https://w.example"))
    with pytest.raises(Unreached, match=r"w\.example cannot be resolved: Name or service not known"):
        await client.health()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A self-made certificate for w.example."""
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-keyout", folder / "key.pem", "-out", folder / "cert.pem", "-days", "2", "-subj", "/CN=w.example",
         "-addext", "subjectAltName=DNS:w.example"],
        check=True, capture_output=True,
    )  # fmt: skip
    return folder


@pytest.fixture
async def tls_server(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    names = []
    context.sni_callback = lambda _socket, name, _context: names.append(name)
    async with faults.FaultServer(context) as running:
        running.sni = names
        yield running


async def test_name_and_certificate_are_kept_when_the_address_is_connected_to(monkeypatch, tls_server, certificate):
    resolver(monkeypatch, ("127.0.0.1",))
    trust = ssl.create_default_context(cafile=str(certificate / "cert.pem"))
    client = WorkerClient(endpoint(f"https://w.example:{tls_server.port}", allow_private=True), tls=trust)
    assert (await client.health()).boot_id == faults.BOOT
    assert tls_server.sni == ["w.example"]
    assert tls_server.calls[0].headers["host"] == f"w.example:{tls_server.port}"
    await client.close()


@pytest.mark.parametrize(("host", "trusted"), [("w.example", False), ("other.example", True)])
async def test_tls_is_always_verified(host, trusted, monkeypatch, tls_server, certificate):
    resolver(monkeypatch, ("127.0.0.1",))
    trust = ssl.create_default_context(cafile=str(certificate / "cert.pem")) if trusted else None
    client = WorkerClient(endpoint(f"https://{host}:{tls_server.port}", allow_private=True), tls=trust)
    with pytest.raises(Unreached, match="certificate is not trusted"):
        await client.health()
    assert tls_server.calls == []
    await client.close()


class TestProxies:
    @pytest.fixture(autouse=True)
    def clean(self, monkeypatch):
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
            monkeypatch.delenv(name.lower(), raising=False)

    @pytest.mark.parametrize(
        ("environ", "url", "proxy"),
        [
            ({}, "https://w.example", None),
            ({"HTTPS_PROXY": "http://p:3128"}, "https://w.example", "http://p:3128"),
            ({"https_proxy": "p:3128"}, "https://w.example", "http://p:3128"),
            ({"ALL_PROXY": "http://p:1"}, "https://w.example", "http://p:1"),
            ({"HTTP_PROXY": "http://p:1"}, "https://w.example", None),
            ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "other,.example"}, "https://w.example", None),
            ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "*"}, "https://w.example", None),
            ({"HTTPS_PROXY": "http://p:1", "HTTP_PROXY": "http://p:1"}, "http://127.0.0.1:5", None),
            ({"HTTPS_PROXY": "http://p:1"}, "https://localhost:5", None),
        ],
    )
    def test_which_one(self, environ, url, proxy, monkeypatch):
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        assert proxy_for(parse_origin(url)) == proxy

    async def test_a_remote_worker_is_asked_for_by_name_through_the_proxy(self, monkeypatch, server):
        async def connect(call, wire):
            await wire.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")

        server.script("CONNECT", "w.example:443", connect)
        monkeypatch.setenv("HTTPS_PROXY", server.url)
        client = WorkerClient(endpoint("https://w.example"))
        with pytest.raises(Unreached, match="403"):
            await client.status()
        assert b"x-nadg-auth" not in server.calls[0].raw.lower()
        await client.close()

    async def test_a_proxy_that_cannot_be_used(self, monkeypatch):
        monkeypatch.setenv("HTTPS_PROXY", "gopher://p:1")
        with pytest.raises(Unreached, match="proxy"):
            await WorkerClient(endpoint("https://w.example")).health()
