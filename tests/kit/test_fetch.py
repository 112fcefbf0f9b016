"""Downloads: what is fetched, what is refused, and what a hostile server can't do."""

from __future__ import annotations

import base64
import gzip
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.abc import SocketStream

from listener.kit import fetch as fetch_module
from listener.kit.data_url import decode_data_url
from listener.kit.errors import KitError
from listener.kit.fetch import fetch

from .conftest import names

REFUSED = [
    "http://93.184.216.34/film.mp4",
    "ftp://93.184.216.34/film.mp4",
    "file:///etc/passwd",
    "/etc/passwd",
    "",
    "https://",
    "https:///film.mp4",
    "https://user@93.184.216.34/film.mp4",
    "https://93.184.216.34\\@127.0.0.1/",
    "https://93.184.216.34:22/",
    "https://93.184.216.34:5432/",
    "https://127.0.0.1/",
    "https://127.1/",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0177.0.0.1/",
    "https://0.0.0.0/",
    "https://10.0.0.1/",
    "https://172.16.0.1/",
    "https://192.168.0.1/",
    "https://192.0.0.192/",
    "https://192.88.99.1/",
    "https://168.63.129.16/machine/",
    "https://198.18.0.1/",
    "https://240.0.0.1/",
    "https://100.64.0.1/",
    "https://169.254.169.254/latest/meta-data/",
    "https://224.0.0.1/",
    "https://255.255.255.255/",
    "https://localhost/",
    "https://localhost./",
    "https://１２７.0.0.1/",
    "https://a b/",
    "https://[::1]/",
    "https://[::]/",
    "https://[::127.0.0.1]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:7f00:1]/",
    "https://[64:ff9b::7f00:1]/",
    "https://[2002:7f00:1::]/",
    "https://[3fff::1]/",
    "https://[2001:0:7f00:1::]/",
    "https://[fd00::1]/",
    "https://[fe80::1]/",
    "https://[ff02::1]/",
    "https://[not-an-address/",
    "https://[::ffff:0:7f00:1]/",
    "https://[64:ff9b:1::a00:1]/",
    "https://[fec0::1]/",
    "https://[fe80::1%25lo]/",
    "https://[2001:db8::1]/",
    "https://[fd00:ec2::254]/latest/meta-data/",
    "https://ⓛocalhost/",
    "https://127。0。0。1/",
    "https://127.0.0.1#@93.184.216.34/",
    "https://93.184.216.34@127.0.0.1/",
    "https:\\\\127.0.0.1/",
    "https://127.0.0.1:443/",
    "https://93.184.216.34:80/",
    "https://93.184.216.34:99999/",
    "https://0/",
    "HTTP://93.184.216.34/",
    "gopher://93.184.216.34/",
    "blob:https://app.test/1",
    " https://127.0.0.1/",
    "https://127.0.0.1\r\nHost: x/",
]

Answer = Callable[[bytes, SocketStream], Any]
HEAD = b"HTTP/1.1 200 OK\r\n"


@asynccontextmanager
async def server(answer: bytes | Answer) -> AsyncIterator[tuple[int, list[bytes]]]:
    """Answer each connection with raw bytes; yields the port and the requests as they came."""
    requests: list[bytes] = []

    async def handle(stream: SocketStream) -> None:
        async with stream:
            requests.append(await stream.receive())
            try:
                if callable(answer):
                    await answer(requests[-1], stream)
                else:
                    await stream.send(answer)
            except anyio.BrokenResourceError:
                pass  # the client has seen enough

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, handle)
        yield listener.extra(anyio.abc.SocketAttribute.local_port), requests
        tasks.cancel_scope.cancel()


def ok(body: bytes, *headers: str) -> bytes:
    lines = [f"Content-Length: {len(body)}", "Connection: close", *headers, "", ""]
    return HEAD + "\r\n".join(lines).encode() + body


def redirect(location: str) -> bytes:
    return f"HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode()


async def refused(url: str, target: Path, **options: Any) -> KitError:
    """The error of a download that must fail, and must leave nothing behind."""
    with pytest.raises(KitError) as caught:
        await fetch(url, target, **({"max_bytes": 1000} | options))
    assert names(target.parent) == []
    assert "token" not in str(caught.value)
    return caught.value


async def test_a_file_from_an_allowed_host(tmp_path: Path) -> None:
    async with server(ok(b"picture")) as (port, requests):
        allow = {f"127.0.0.1:{port}"}
        target = await fetch(
            f"http://127.0.0.1:{port}/a.png?token=1#x", tmp_path / "in0", max_bytes=7, allow=allow
        )
    assert target.read_bytes() == b"picture"
    head = requests[0].lower()
    assert head.startswith(b"get /a.png?token=1 http/1.1\r\n")
    assert b"authorization" not in head
    assert b"cookie" not in head
    assert names(tmp_path) == ["in0"]


async def test_hosts_that_the_service_trusts_need_no_word_of_the_caller(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch_module, "_trusted_hosts", ())
    async with server(ok(b"picture")) as (port, _):
        fetch_module.trust([f"127.0.0.1:{port}"])
        target = await fetch(f"http://127.0.0.1:{port}/a.png", tmp_path / "in0", max_bytes=7)
        assert target.read_bytes() == b"picture"
        target.unlink()
        assert (await refused(f"http://127.0.0.1:{port}/a.png", tmp_path / "in1", allow=[])).permanent


async def test_only_the_trusted_hosts_where_that_is_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch_module, "_trusted_hosts", ())
    monkeypatch.setattr(fetch_module, "_only_trusted", False)
    async with server(redirect("https://93.184.216.34/film.mp4?token=1")) as (port, requests):
        fetch_module.trust([f"127.0.0.1:{port}"], only=True)
        for url in ("https://93.184.216.34/film.mp4?token=1", f"http://127.0.0.1:{port}/"):
            error = await refused(url, tmp_path / "in0")
            assert str(error) == (
                "https://93.184.216.34/film.mp4 is on a host that is not allowed here (MEDIA_HOSTS)."
            )
    assert len(requests) == 1


async def test_hosts_that_share_a_number_share_neither_cookies_nor_connections(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *rest, **more: real("127.0.0.1", *rest, **more))

    async def answer(request: bytes, stream: SocketStream) -> None:
        if b"Host: one.test" in request:
            head = (
                f"HTTP/1.1 302 Found\r\nLocation: http://two.test:{port}/\r\nSet-Cookie: token=1; Path=/\r\n"
            )
            await stream.send(head.encode() + b"Content-Length: 0\r\n\r\n")
            with suppress(anyio.EndOfStream):  # on this connection nothing else may come
                requests.append(await stream.receive())
        else:
            await stream.send(ok(b"x"))

    async with server(answer) as (port, requests):
        allow = [f"one.test:{port}", f"two.test:{port}"]
        with anyio.fail_after(5):
            await fetch(f"http://one.test:{port}/", tmp_path / "in0", max_bytes=9, allow=allow)
    first, second = requests
    assert (b"Host: one.test" in first, b"Host: two.test" in second) == (True, True)
    assert b"cookie" not in second.lower()


@pytest.mark.parametrize("url", REFUSED)
async def test_addresses_that_are_never_asked(url: str, tmp_path: Path) -> None:
    assert (await refused(url, tmp_path / "in0")).permanent


async def test_a_password_in_an_address_is_not_repeated(tmp_path: Path) -> None:
    error = await refused("https://user:canary@93.184.216.34/film.mp4", tmp_path / "in0")
    assert str(error).startswith("https://93.184.216.34/film.mp4 holds a user name or password")


async def test_an_allowed_host_is_allowed_on_its_own_port_only(tmp_path: Path) -> None:
    async with server(ok(b"x")) as (port, requests):
        for allow in ("127.0.0.1", f"127.0.0.1:{port + 1}", f"localhost:{port}"):
            assert (await refused(f"http://127.0.0.1:{port}/", tmp_path / "in0", allow=[allow])).permanent
    assert requests == []


async def test_a_name_is_resolved_once_and_connected_by_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    real = socket.getaddrinfo

    def resolver(host: Any, *args: Any, **kwargs: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if name.endswith(".test"):
            asked.append(name)
            name = "127.0.0.1"
        return real(name, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    async with server(ok(b"x")) as (port, requests):
        await fetch(f"http://media.test:{port}/", tmp_path / "in0", max_bytes=9, allow=[f"media.test:{port}"])
    assert asked == ["media.test"]
    assert f"Host: media.test:{port}".encode() in requests[0]


async def test_one_private_address_among_public_ones_is_enough_to_refuse(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", (number, 443)) for number in ("93.184.216.34", "10.0.0.1")
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: both)
    error = await refused("https://rebind.test/x?token=1", tmp_path / "in0")
    assert str(error) == "The host rebind.test is not on the public internet."


async def test_https_names_the_host_in_the_handshake(tmp_path: Path) -> None:
    async with server(b"not tls") as (port, requests):
        allow = [f"localhost:{port}"]
        error = await refused(f"https://localhost:{port}/", tmp_path / "in0", allow=allow)
    assert not error.permanent
    assert b"localhost" in requests[0]  # the server name in the client's hello


async def test_redirects_are_followed_and_checked(tmp_path: Path) -> None:
    async def answer(request: bytes, stream: SocketStream) -> None:
        step = int(request.split()[1][1:])
        await stream.send(redirect(f"/{step + 1}") if step < 3 else ok(b"there"))

    async with server(answer) as (port, requests):
        base, allow = f"http://127.0.0.1:{port}", [f"127.0.0.1:{port}"]
        target = await fetch(f"{base}/0", tmp_path / "in0", max_bytes=9, allow=allow)
        assert target.read_bytes() == b"there"
        target.unlink()
        assert len(requests) == 4
        error = await refused(f"{base}/-1", tmp_path / "in0", allow=allow)
        assert "redirects more than 3 times" in str(error)


@pytest.mark.parametrize(
    "location",
    [
        "https://169.254.169.254/latest",
        "http://93.184.216.34/",
        "file:///etc/passwd",
        "https://a@b/",
        "//10.0.0.1/",
    ],
)
async def test_a_redirect_is_held_to_the_same_rules(location: str, tmp_path: Path) -> None:
    async with server(redirect(location)) as (port, _):
        error = await refused(f"http://127.0.0.1:{port}/", tmp_path / "in0", allow=[f"127.0.0.1:{port}"])
    assert error.permanent


@pytest.mark.parametrize(
    ("answer", "sentence", "permanent"),
    [
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "responded with status 404", True),
        (b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", "responded with status 403", True),
        (b"HTTP/1.1 429 Slow\r\nContent-Length: 0\r\n\r\n", "responded with status 429", False),
        (b"HTTP/1.1 423 Locked\r\nContent-Length: 0\r\n\r\n", "responded with status 423", False),
        (b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", "responded with status 503", False),
        (b"HTTP/1.1 204 Nothing\r\n\r\n", "responded with status 204", False),
        (ok(b"x" * 1001), "is larger than 1000 bytes", True),
        (HEAD + b"Connection: close\r\n\r\n" + b"x" * 5000, "is larger than 1000 bytes", True),
        (HEAD + b"Content-Length: 100\r\n\r\nshort", "could not be read", False),
        (HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nshort", "could not be read", False),
        (ok(gzip.compress(bytes(10**6)), "Content-Encoding: gzip"), "is sent compressed", True),
        (HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "could not be read", False),
        (
            HEAD + b"Transfer-Encoding: chunked\r\n\r\n7d0\r\n" + b"x" * 2000 + b"\r\n0\r\n\r\n",
            "is larger than 1000 bytes",
            True,
        ),
        (HEAD + b"Content-Length: -1\r\n\r\n", "could not be read", False),
        (HEAD + b"X: " + b"x" * 200_000 + b"\r\n\r\n", "could not be read", False),
        (b"SSH-2.0-OpenSSH\r\n", "could not be read", False),
        (b"", "could not be read", False),
    ],
)
async def test_answers_that_do_not_count(
    answer: bytes, sentence: str, permanent: bool, tmp_path: Path
) -> None:
    async with server(answer) as (port, _):
        url = f"http://127.0.0.1:{port}/film.mp4"
        error = await refused(f"{url}?token=1", tmp_path / "in0", allow=[f"127.0.0.1:{port}"])
    assert sentence in str(error)
    assert str(error).startswith(url)
    assert error.permanent is permanent


async def test_a_silent_server_and_an_endless_one_are_given_up(tmp_path: Path) -> None:
    async def drip(_: bytes, stream: SocketStream) -> None:
        await stream.send(HEAD + b"\r\n")
        while True:
            await stream.send(b"x")
            await anyio.sleep(0.05)

    async def silence(_: bytes, stream: SocketStream) -> None:
        await anyio.sleep_forever()

    async with server(silence) as (port, _):
        url, allow = f"http://127.0.0.1:{port}/", [f"127.0.0.1:{port}"]
        error = await refused(url, tmp_path / "in0", idle=0.2, allow=allow)
        assert (str(error), error.permanent) == (f"{url} sent nothing for 0.2 s.", False)
    async with server(drip) as (port, _):
        url, allow = f"http://127.0.0.1:{port}/", [f"127.0.0.1:{port}"]
        error = await refused(url, tmp_path / "in0", timeout=0.5, idle=0.2, allow=allow)
        assert (str(error), error.permanent) == (f"{url} took longer than 0.5 s.", False)


async def test_nobody_listens(tmp_path: Path) -> None:
    async with server(b"") as (port, _):
        pass
    error = await refused(f"http://127.0.0.1:{port}/", tmp_path / "in0", allow=[f"127.0.0.1:{port}"])
    assert not error.permanent


async def test_proxies_of_the_environment_are_not_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with server(ok(b"from the proxy")) as (proxy, asked), server(ok(b"direct")) as (port, _):
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy}")
        allow = [f"127.0.0.1:{port}"]
        target = await fetch(f"http://127.0.0.1:{port}/", tmp_path / "in0", max_bytes=99, allow=allow)
    assert (target.read_bytes(), asked) == (b"direct", [])


@pytest.mark.parametrize("size", [0, 1, 2, 3, 786_432, 3_000_001])
def test_data_urls_become_files(size: int, tmp_path: Path) -> None:
    content = bytes(i % 251 for i in range(size))
    url = "data:image/png;base64," + base64.b64encode(content).decode()
    assert decode_data_url(url, tmp_path / "in0", max_bytes=size).read_bytes() == content


def test_a_data_url_without_padding_is_fine(tmp_path: Path) -> None:
    assert decode_data_url("data:;base64,eA", tmp_path / "in0", max_bytes=1).read_bytes() == b"x"


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("data:text/plain,hello", "not of the form"),
        ("blob:https://app.test/1", "not of the form"),
        ("data:;base64", "not of the form"),
        ("data:;base64,a$b=", "is damaged"),
        ("data:;base64,abcde", "is damaged"),
        ("data:;base64," + "AAAA" * 100, "holds more than 30 bytes"),
    ],
)
def test_data_urls_that_are_refused(url: str, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(KitError, match=sentence) as caught:
        decode_data_url(url, tmp_path / "in0", max_bytes=30)
    assert caught.value.permanent
    assert list(tmp_path.iterdir()) == []
