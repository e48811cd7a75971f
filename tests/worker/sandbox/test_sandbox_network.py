"""The network permission: out through the proxy, to global addresses only."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from sandbox.proxy import Proxy, is_global

pytestmark = pytest.mark.asyncio(loop_scope="module")

GLOBAL = ["1.1.1.1", "8.8.8.8", "2606:4700:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8"]
NOT_GLOBAL = [
    "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
    "255.255.255.255", "::1", "::", "fe80::1", "fe80::1%eth0", "fd00:ec2::254", "ff02::1", "::ffff:127.0.0.1",
    "::ffff:169.254.169.254", "64:ff9b::7f00:1", "2002:7f00:1::", "198.18.0.1", "192.0.2.1",
]  # fmt: skip


@pytest.mark.parametrize("address", GLOBAL)
async def test_global_addresses_are_let_through(address):
    assert is_global(address)


@pytest.mark.parametrize("address", NOT_GLOBAL)
async def test_no_other_address_is(address):
    assert not is_global(address)


@contextlib.asynccontextmanager
async def web_server() -> AsyncIterator[int]:
    async def answer(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        body = head.partition(b"\r\n")[0] + b"|" + ((b"proxy-authorization" in head.lower() and b"leaked") or b"clean")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(body), body))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


FETCH = """
import os, urllib.request, urllib.error
def fetch(url):
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.read().decode()
    except urllib.error.HTTPError as error:
        return f'{{error.code}} {{error.read().decode()}}'
    except OSError as error:
        return repr(error)
result = [fetch(url) for url in {urls!r}]
"""
PERMITTED = {"network": True}

if sys.platform == "linux":
    from sandbox.forkserver import ForkServer

    @pytest_asyncio.fixture(loop_scope="module", scope="module")
    async def reaching(box_of):
        """A sandbox whose proxy takes loopback for the public internet."""
        sandbox = ForkServer(preload=(), capacity=2, proxy=Proxy(allowed=lambda address: address.startswith("127.")))
        await sandbox.start()
        yield box_of(sandbox)
        await sandbox.close()

    async def test_a_task_reaches_what_the_proxy_allows(reaching):
        async with web_server() as port:
            tried = await reaching.run(FETCH.format(urls=[f"http://127.0.0.1:{port}/a?b=c"]), permissions=PERMITTED)
        assert tried.result == ["GET /a?b=c HTTP/1.1|clean"], tried

    async def test_tls_goes_through_a_tunnel(reaching):
        code = """
import http.client, os, urllib.parse
proxy = urllib.parse.urlsplit(os.environ['HTTPS_PROXY'])
import base64
basic = base64.b64encode(f'{proxy.username}:{proxy.password}'.encode()).decode()
connection = http.client.HTTPConnection(proxy.hostname, proxy.port, timeout=5)
connection.set_tunnel('127.0.0.1', PORT, {'Proxy-Authorization': f'Basic {basic}'})
connection.request('GET', '/inside')
result = connection.getresponse().read().decode()
"""
        async with web_server() as port:
            tried = await reaching.run(code.replace("PORT", str(port)), permissions=PERMITTED)
        assert tried.result == "GET /inside HTTP/1.1|clean", tried

    async def test_the_proxy_refuses_what_is_not_global(forked):
        urls = [
            "http://169.254.169.254/latest/meta-data/",
            "http://127.0.0.1:1/",
            "http://localhost:1/",
            "http://[::1]:1/",
            "http://2130706433/",
            "http://0/",
            "https://169.254.169.254/",
        ]
        tried = await forked.run(FETCH.format(urls=urls), permissions=PERMITTED)
        assert len(tried.result) == len(urls)
        for answer in tried.result:
            assert answer.startswith("403 ") or "403" in answer or "502" in answer, tried.result
        assert all("403" in answer for answer in tried.result[:4]), tried.result

    async def test_without_the_permission_there_is_no_network(reaching):
        async with web_server() as port:
            tried = await reaching.run(FETCH.format(urls=[f"http://127.0.0.1:{port}/"]))
        assert "not permitted" in tried.result[0]

    async def test_the_proxy_wants_its_password(forked):
        code = """
import http.client, os, urllib.parse
proxy = urllib.parse.urlsplit(os.environ['HTTP_PROXY'])
connection = http.client.HTTPConnection(proxy.hostname, proxy.port, timeout=5)
connection.request('GET', 'http://example.com/')
result = connection.getresponse().status
"""
        assert (await forked.run(code, permissions=PERMITTED)).result == 407

    async def test_a_worker_that_cannot_confine_the_network_gives_none(box_of):
        sandbox = ForkServer(preload=(), capacity=1, off=frozenset({"landlock"}))
        await sandbox.start()
        try:
            tried = await box_of(sandbox).run("result = 1", permissions=PERMITTED)
            assert tried.outcome == "rejected"
            assert "network" in tried.detail.message
            assert sandbox.report()["network"].startswith("unavailable")
        finally:
            await sandbox.close()
