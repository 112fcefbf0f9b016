"""Download from an address that a user gave, without being led into the service's network.

Each host name is resolved once, all its IP addresses are checked, and the connection goes to a checked one: a name
that resolves differently the second time gains nothing.
"""

from __future__ import annotations

import contextlib
import re
import secrets
import socket
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from http.cookiejar import DefaultCookiePolicy
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from pathlib import Path

import anyio
import httpx

from listener.kit.errors import KitError, TooLarge
from listener.kit.http_status import is_transient
from listener.log import reason_of

MAX_REDIRECTS = 3
CHUNK = 1024 * 1024
PORTS = {"http": 80, "https": 443}

# Global unicast (RFC 4291); all other addresses are local, reserved, or IPv4 through a translator.
UNICAST = ip_network("2000::/3")
# ipaddress calls these global, but they are tunnels to IPv4 (6to4, Teredo), internal to a cloud, or for
# documentation (RFC 9637).
INNER = [
    ip_network(network)
    for network in (
        "2002::/16",
        "2001::/32",
        "192.88.99.0/24",
        "192.0.0.0/24",
        "168.63.129.16/32",
        "3fff::/20",
    )
]


class FetchError(KitError):
    """A download that failed. The text never holds a query string, because tokens live there."""

    def __init__(self, message: str, *, permanent: bool) -> None:
        super().__init__(message)
        self.permanent = permanent


_trusted_hosts: Collection[str] = ()
_only_trusted = False


def trust(hosts: Collection[str], *, only: bool = False) -> None:
    """Let `fetch` reach these hosts even if they are private or speak plain http; a call may name others.

    Args:
        hosts: each as `host` (usual ports) or `host:port`.
        only: refuse all other hosts.
    """
    global _trusted_hosts, _only_trusted
    _trusted_hosts, _only_trusted = tuple(hosts), only


async def fetch(
    url: str,
    target: Path,
    *,
    max_bytes: int,
    timeout: float = 300,  # noqa: ASYNC109 - the error distinguishes it from `idle`
    idle: float = 20,
    allow: Collection[str] | None = None,
) -> Path:
    """Download `url` to `target`, whole or not at all.

    Only https on its usual port and public IP addresses are allowed, and up to three redirects under the same
    rules. There is no proxy, no cookie and no credential.

    Args:
        url: address of one file.
        target: path of the new file; an existing file is replaced.
        max_bytes: largest file accepted, checked before and during the transfer.
        timeout: seconds for the whole download.
        idle: seconds without a byte after which the server counts as dead.
        allow: hosts, as `host` (usual ports) or `host:port`, that may be private and plain http; None
            takes those of `trust`.

    Returns:
        `target`.

    Raises:
        TooLarge: the file is larger than `max_bytes`.
        FetchError: `permanent` for a refused address or a missing file (any status 4xx that is not
            transient); not for timeouts, broken connections and server errors.
    """
    draft = target.with_name(f".{secrets.token_hex(8)}")
    try:
        with anyio.fail_after(timeout):
            await _follow(url, draft, max_bytes, idle, _trusted_hosts if allow is None else allow)
        draft.replace(target)
    except TimeoutError:
        raise FetchError(f"{_shown(url)} took longer than {timeout:g} s.", permanent=False) from None
    except OSError as error:
        raise FetchError(f"{_shown(url)} could not be stored: {error.strerror}.", permanent=False) from error
    finally:
        draft.unlink(missing_ok=True)
    return target


async def _follow(url: str, draft: Path, max_bytes: int, idle: float, allow: Collection[str]) -> None:
    async with httpx.AsyncClient(trust_env=False, timeout=idle) as client:
        # The client knows hosts by IP address, which several may share: none must get cookies of another.
        client.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        address = _checked(url, allow)
        for _ in range(MAX_REDIRECTS + 1):
            async with _answer(client, address, idle, allow) as response:
                if not response.has_redirect_location:
                    await _save(response, address, draft, max_bytes)
                    return
                address = _checked(response.headers["Location"], allow, base=address)
    raise FetchError(f"{_shown(url)} redirects more than {MAX_REDIRECTS} times.", permanent=True)


def _checked(url: str, allow: Collection[str], base: httpx.URL | None = None) -> httpx.URL:
    """Return the parsed address if its form is allowed; `_resolve` checks its IP addresses."""
    try:
        address = httpx.URL(url) if base is None else base.join(url)
        host = address.host  # decodes an internationalized name
    except (httpx.InvalidURL, UnicodeError):
        raise FetchError(f"{_shown(url)} is not a valid address.", permanent=True) from None
    trusted = _trusted(address, allow)
    if "\\" in url or not host:
        problem = "is not a valid address"
    elif address.userinfo:
        problem = "holds a user name or password; use a signed address instead"
    elif _only_trusted and not trusted:
        problem = "is on a host that is not allowed here (MEDIA_HOSTS)"
    elif address.scheme != "https" and not (address.scheme == "http" and trusted):
        problem = "is not an https address"
    elif address.port and not trusted:
        problem = f"uses port {address.port}, which is not allowed"
    else:
        return address.copy_with(fragment=None)
    raise FetchError(f"{_shown(url)} {problem}.", permanent=True)


def _trusted(address: httpx.URL, allow: Collection[str]) -> bool:
    host = address.raw_host.decode()
    host = f"[{host}]" if ":" in host else host
    names = {f"{host}:{address.port or PORTS.get(address.scheme)}"} | (set() if address.port else {host})
    return not names.isdisjoint(name.lower() for name in allow)


async def _resolve(address: httpx.URL, allow: Collection[str]) -> list[str]:
    """Return the IP addresses of the host, all of them public unless the host is trusted."""
    host = address.raw_host.decode()
    port = address.port or PORTS[address.scheme]
    try:
        found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        passing = isinstance(error, socket.gaierror) and error.errno == socket.EAI_AGAIN
        raise FetchError(f"The host {host} can't be found.", permanent=not passing) from error
    numbers = [str(sockaddr[0]) for *_, sockaddr in found]
    if not _trusted(address, allow) and not all(_public(ip_address(number)) for number in numbers):
        raise FetchError(f"The host {host} is not on the public internet.", permanent=True)
    return numbers


def _public(number: IPv4Address | IPv6Address) -> bool:
    if isinstance(number, IPv6Address) and number.ipv4_mapped:
        number = number.ipv4_mapped
    if isinstance(number, IPv6Address) and number not in UNICAST:
        return False
    return number.is_global and not number.is_multicast and not any(number in network for network in INNER)


@asynccontextmanager
async def _answer(
    client: httpx.AsyncClient, address: httpx.URL, idle: float, allow: Collection[str]
) -> AsyncIterator[httpx.Response]:
    """Send the request to the first checked IP address that can be reached."""
    headers = {"Host": address.netloc.decode(), "Accept": "*/*", "Accept-Encoding": "identity"}
    extensions = {"sni_hostname": address.raw_host.decode()}
    shown = _shown(str(address))
    try:
        for number in (numbers := await _resolve(address, allow)):
            request = client.build_request(
                "GET", address.copy_with(host=number), headers=headers, extensions=extensions
            )
            try:
                response = await client.send(request, stream=True)
                break
            except (httpx.ConnectError, httpx.ConnectTimeout):
                if number == numbers[-1]:
                    raise
        async with contextlib.aclosing(response):
            yield response
    except httpx.ReadTimeout:
        raise FetchError(f"{shown} sent nothing for {idle:g} s.", permanent=False) from None
    except httpx.TransportError as error:
        raise FetchError(f"{shown} could not be read: {reason_of(error)}.", permanent=False) from error


async def _save(response: httpx.Response, address: httpx.URL, draft: Path, max_bytes: int) -> None:
    shown, status = _shown(str(address)), response.status_code
    if status != httpx.codes.OK:
        permanent = httpx.codes.is_client_error(status) and not is_transient(status)
        raise FetchError(f"{shown} responded with status {status}.", permanent=permanent)
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise FetchError(f"{shown} is sent compressed, although that was not requested.", permanent=True)
    too_large = TooLarge(f"{shown} is larger than {max_bytes} bytes.")
    if int(response.headers.get("Content-Length", 0)) > max_bytes:
        raise too_large
    size = 0
    async with await anyio.open_file(draft, "xb") as file:
        async for chunk in response.aiter_raw(CHUNK):
            size += len(chunk)
            if size > max_bytes:
                raise too_large
            await file.write(chunk)


def _shown(url: str) -> str:
    """Return the part of an address that an error may show."""
    match = re.match(r"([A-Za-z][A-Za-z0-9+.-]*://)(?:[^/?#]*@)?([^?#]{0,150})", url)
    return ascii(match[1] + match[2])[1:-1] if match else "The address"
