"""Become another program that dies with its parent and can't exceed its limits.

Run by path, `python -I -S leash.py PARENT LIMITS PROGRAM ARGUMENT...`, and therefore free of imports from
this package. It does between fork and exec what a `preexec_fn` would do, which is unsafe in a process with
threads. LIMITS is a comma list like `RLIMIT_AS=1073741824,RLIMIT_CPU=15`, or empty.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    parent, limits, *command = sys.argv[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(parent):
        sys.exit("the parent process is gone")  # it died before the line above could take effect
    for limit in filter(None, limits.split(",")):
        name, _, value = limit.partition("=")
        with contextlib.suppress(ValueError):  # macOS knows RLIMIT_AS but refuses most values
            resource.setrlimit(getattr(resource, name), (int(value), int(value)))
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, and exec would pass that on
    os.execv(command[0], command)  # noqa: S606 - no shell is the point


if __name__ == "__main__":
    main()
