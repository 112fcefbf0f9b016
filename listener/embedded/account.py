"""Choose the account that runs Postgres: the current one, but never root, which Postgres refuses."""

from __future__ import annotations

import contextlib
import hashlib
import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from listener.embedded.installation import EmbeddedError

CACHE = Path("/var/cache/supalistener")


class Account:
    """The current account or, if that is root, the owner of the folder, `postgres` or `nobody`.

    Args:
        folder: the folder of the data, which may not exist yet.

    Attributes:
        options: arguments for subprocess.Popen that select the account.

    Raises:
        EmbeddedError: the current account is root, and the machine has no other user.
    """

    def __init__(self, folder: Path) -> None:
        self.options: dict[str, Any] = {}
        if os.geteuid() != 0:
            return
        owner = next(path for path in (folder, *folder.parents) if path.exists()).stat().st_uid
        for who in (owner, "postgres", "nobody"):
            with contextlib.suppress(KeyError):
                user = pwd.getpwuid(who) if isinstance(who, int) else pwd.getpwnam(who)
                if user.pw_uid != 0:
                    self.options = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
                    return
        raise EmbeddedError(
            "Postgres refuses to run as root, and this machine has no user postgres or nobody."
        )

    def give(self, path: Path) -> None:
        """Make the account the owner of a file or folder."""
        if self.options:
            os.chown(path, self.options["user"], self.options["group"])

    def can(self, *command: str | Path) -> bool:
        """Return whether a command succeeds when the account runs it."""
        try:
            subprocess.run(command, capture_output=True, check=True, cwd="/", **self.options)
        except (PermissionError, subprocess.CalledProcessError):
            return False
        return True

    def reach(self, bindir: Path) -> Path:
        """Return the folder of the programs, or of a copy if the account can't reach it (root's home is closed).

        The copy keeps the layout `package/prefix/bin` beside `package.libs`, because the programs of a
        wheel find their libraries by it.
        """
        if self.can(bindir / "initdb", "--version"):
            return bindir
        prefix, package = bindir.parent, bindir.parent.parent
        made = (bindir / "postgres").stat().st_mtime_ns
        copy = CACHE / hashlib.sha256(f"{bindir} {made}".encode()).hexdigest()[:16]
        if not copy.exists():
            CACHE.mkdir(mode=0o755, parents=True, exist_ok=True)
            unfinished = Path(tempfile.mkdtemp(dir=CACHE))
            for part in ("bin", "lib", "share"):
                shutil.copytree(prefix / part, unfinished / package.name / prefix.name / part)
            if (libraries := package.with_name(f"{package.name}.libs")).exists():
                shutil.copytree(libraries, unfinished / libraries.name)
            for path in (unfinished, *unfinished.rglob("*")):
                path.chmod(0o755)
            with contextlib.suppress(OSError):  # another process was faster
                unfinished.rename(copy)
            shutil.rmtree(unfinished, ignore_errors=True)
        return copy / package.name / prefix.name / "bin"
