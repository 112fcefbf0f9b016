"""Objects in a local folder: files, links, and addresses that the service itself serves."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from listener.kit.storage import BadKey, BadSignature, LocalStorage, StorageError

from .conftest import names, serving


async def test_a_name_that_no_file_can_have(local: LocalStorage, folder: Path) -> None:
    with pytest.raises(BadKey, match="longer than 255 bytes"):
        await local.download("exports", "x" * 256, folder)


async def test_symbolic_links_lead_nowhere(local: LocalStorage, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("canary")
    bucket = tmp_path / "root" / "uploads"
    bucket.mkdir()
    (bucket / "file.txt").symlink_to(tmp_path / "secret.txt")
    (bucket / "folder").symlink_to(tmp_path)
    (bucket / "up").symlink_to(tmp_path / "root")
    for key in ("file.txt", "folder/secret.txt", "up/.secret"):
        with pytest.raises(BadKey, match="leads out of its bucket"):
            await local.download("uploads", key, folder)
        with pytest.raises(BadKey, match="leads out of its bucket"):
            await local.upload("uploads", tmp_path / "secret.txt", key)


async def test_a_failed_upload_leaves_the_old_object_and_no_litter(
    local: LocalStorage, folder: Path, tmp_path: Path
) -> None:
    (folder / "a").write_text("old")
    await local.upload("exports", folder / "a", "a")
    with pytest.raises(StorageError, match="gone could not be stored: No such file"):
        await local.upload("exports", folder / "gone", "a")
    with pytest.raises(StorageError, match="a could not be stored"):
        await local.upload("exports", folder / "a", "a/b")  # a is a file, not a folder
    assert (await local.download("exports", "a", folder)).read_text() == "old"
    assert names(tmp_path / "root" / ".incoming") == []


async def test_an_address_serves_the_object_and_ranges_of_it(local: LocalStorage, folder: Path) -> None:
    (folder / "film.mp4").write_bytes(bytes(range(200)))
    await local.upload("exports", folder / "film.mp4", "user/a film.mp4")
    async with serving(local) as client:
        url = await local.url("exports", "user/a film.mp4")
        whole = await client.get(url)
        part = await client.get(url, headers={"Range": "bytes=10-19"})
        head = await client.head(url)
        described = (await client.get(f"{local.base_url}/openapi.json")).json()["paths"]
    assert (whole.status_code, whole.content) == (200, bytes(range(200)))
    assert whole.headers["Content-Type"] == "video/mp4"
    assert whole.headers["Content-Disposition"].startswith("inline")
    assert whole.headers["X-Content-Type-Options"] == "nosniff"
    assert (part.status_code, part.content) == (206, bytes(range(10, 20)))
    assert (head.status_code, head.headers["Content-Length"]) == (200, "200")
    assert described["/storage/{bucket}/{key}"].keys() == {"get"}


async def test_altered_and_expired_addresses_are_forbidden(local: LocalStorage, folder: Path) -> None:
    for key in ("mine.mp4", "other.mp4"):
        (folder / key).write_text(key)
        await local.upload("exports", folder / key, key)
    async with serving(local) as client:
        url = await local.url("exports", "mine.mp4")
        expires = parse_qs(urlsplit(url).query)["expires"][0]
        stale = await local.url("exports", "mine.mp4", expires=timedelta(seconds=-5))
        for bad in (
            url.replace("mine", "other"),
            url.replace("exports", "uploads"),
            url.replace(expires, str(int(expires) + 1)),
            url[:-1] + ("0" if url[-1] != "0" else "1"),
            url.partition("?")[0],
            url + "\u00e9",
        ):
            answer = await client.get(bad)
            assert (answer.status_code, answer.json()["error"][:11]) == (403, "The address")
        answer = await client.get(stale)
        assert (answer.status_code, "has expired" in answer.json()["error"]) == (403, True)
        await local.remove("exports", "mine.mp4")
        answer = await client.get(url)
        assert (answer.status_code, answer.json()) == (
            404,
            {"error": "There is no object 'mine.mp4' in bucket 'exports'."},
        )


async def test_addresses_outlive_a_restart_but_not_the_secret(tmp_path: Path) -> None:
    root = tmp_path / "kept"
    (tmp_path / "a.txt").write_text("a")
    first = LocalStorage(root, "http://x")
    await first.upload("exports", tmp_path / "a.txt", "a.txt")
    query = parse_qs(urlsplit(await first.url("exports", "a.txt")).query)
    expires, signature = int(query["expires"][0]), query["signature"][0]

    again = LocalStorage(root, "http://y")
    assert again.open_signed("exports", "a.txt", expires, signature).read_text() == "a"
    assert (root / ".secret").stat().st_mode & 0o777 == 0o600
    with pytest.raises(BadSignature):
        LocalStorage(root, "http://y", secret=b"other").open_signed("exports", "a.txt", expires, signature)
