"""Which addresses a worker may have: the URL as registered, and the address that is connected to in the end."""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
import urllib.request
from dataclasses import dataclass
from urllib.parse import urlsplit

from nadg_kernel.errors import WorkerError

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAME = re.compile(r"(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_DEFAULT_PORTS = {"https": 443, "http": 80}


class AddressRefused(WorkerError):  # noqa: N818 - a refusal, as its siblings
    """The address is one that a worker may not have. Nothing was sent to it."""


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Scheme, host (lower case, without brackets) and port of a worker, checked."""

    scheme: str
    host: str
    port: int

    @property
    def authority(self) -> str:
        """Host and port as they stand in a URL and in the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def loopback(self) -> bool:
        """Whether it is this machine by name or number."""
        literal = as_ip(self.host)
        return self.host == "localhost" if literal is None else is_loopback(literal)

    def __str__(self) -> str:
        """The canonical spelling, over which tokens are made."""
        return f"{self.scheme}://{self.authority}"


def canonical_origin(url: str) -> str:
    """The one spelling of a worker's origin. Raises AddressRefused for what no worker may be registered as."""
    return str(parse_origin(url))


def parse_origin(url: str) -> Origin:
    """Check a worker's URL: https (http for this machine only), no user, no path, query or fragment.

    Raises AddressRefused that says what is wrong and never repeats a password.
    """
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError as error:
        raise AddressRefused(f"this is no worker URL: {error}") from None
    if parts.username is not None or parts.password is not None or "@" in parts.netloc:
        raise AddressRefused("a worker URL holds no user or password: workers have their own token")
    if parts.scheme not in _DEFAULT_PORTS:
        raise AddressRefused(f"{url[:200]!r} is no worker URL: it must begin with https://")
    if parts.path not in {"", "/"} or parts.query or parts.fragment or "?" in url or "#" in url:
        raise AddressRefused(f"{url[:200]!r} is no worker URL: give only https://host or https://host:port")
    host = _canonical_host(parts.hostname or "")
    origin = Origin(scheme=parts.scheme, host=host, port=port or _DEFAULT_PORTS[parts.scheme])
    if origin.scheme == "http" and not origin.loopback:
        raise AddressRefused(f"{origin} must be https: plain http is for workers on this machine only")
    return origin


def _canonical_host(host: str) -> str:
    literal = as_ip(host)
    if isinstance(literal, ipaddress.IPv6Address) and literal.ipv4_mapped is not None:
        return str(literal.ipv4_mapped)  # Python versions spell it differently, and tokens are made over the spelling
    if literal is not None:
        return str(literal)
    try:
        name = host.rstrip(".").encode("idna").decode("ascii").lower()
    except UnicodeError:
        name = ""
    if not _NAME.fullmatch(name) or name.rsplit(".", 1)[-1].isdigit() or name.startswith("0x"):
        raise AddressRefused(f"{host[:100]!r} is no host name")
    return name


def as_ip(host: str) -> IPAddress | None:
    """The address that a host spells, or None for a name."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _embedded(address: IPAddress) -> IPAddress:
    """The IPv4 address that an IPv6 one stands for, where it does: packets end up there."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address.sixtofour is not None:
            return address.sixtofour
        if address.teredo is not None:
            return address.teredo[1]
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def is_loopback(address: IPAddress) -> bool:
    """Whether an address is this machine."""
    return _embedded(address).is_loopback


def is_public(address: IPAddress) -> bool:
    """Whether an address is one on the internet: not private, link-local, multicast, reserved or this machine."""
    both = (address, _embedded(address))
    return all(
        item.is_global and not (item.is_multicast or item.is_reserved or item.is_unspecified or item.is_loopback)
        for item in both
    )


async def checked_addresses(origin: Origin, *, allow_private: bool = False) -> list[IPAddress]:
    """The addresses of a worker that may be connected to, in the resolver's order.

    A loopback origin gives loopback addresses only; any other one public addresses only, unless `allow_private` (then
    also private ones, still never multicast or unspecified). Raises AddressRefused when none is left, OSError when
    the name cannot be resolved.
    """
    literal = as_ip(origin.host)
    found = [literal] if literal is not None else await _resolve(origin)
    if origin.loopback:
        allowed = [address for address in found if is_loopback(address)]
    elif allow_private:
        allowed = [a for a in found if not (a.is_multicast or a.is_unspecified or _embedded(a).is_unspecified)]
    else:
        allowed = [address for address in found if is_public(address)]
    if not allowed:
        shown = ", ".join(str(address) for address in found[:3])
        hint = "" if origin.loopback else "; allow private addresses for this worker if it is yours"
        raise AddressRefused(f"{origin.host} leads to {shown}, which is not an address of a remote worker{hint}")
    return allowed


async def _resolve(origin: Origin) -> list[IPAddress]:
    loop = asyncio.get_running_loop()
    try:
        infos = await loop.getaddrinfo(origin.host, origin.port, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise OSError(f"{origin.host} is no host name") from error
    found = (as_ip(str(info[4][0]).partition("%")[0]) for info in infos)
    return list(dict.fromkeys(address for address in found if address is not None))


def proxy_for(origin: Origin) -> str | None:
    """The proxy that the system's settings (HTTPS_PROXY, NO_PROXY) name for a worker; never one for this machine."""
    if origin.loopback or urllib.request.proxy_bypass(f"{origin.host}:{origin.port}"):
        return None
    if urllib.request.proxy_bypass(origin.host):
        return None
    proxies = urllib.request.getproxies()
    proxy = proxies.get(origin.scheme) or proxies.get("all")
    if not proxy:
        return None
    return proxy if "://" in proxy else f"http://{proxy}"
