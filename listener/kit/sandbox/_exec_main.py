"""Become another program that dies with its parent, has limits, and opens only the files it is given.

Run by path: `python -I -S _exec_main.py PARENT LIMITS [read=PATH | write=PATH]... -- PROGRAM ARGUMENT...`. It
imports nothing of this package and nothing that would slow each start. It does what a `preexec_fn` would do
between fork and exec, which is unsafe in a process with threads. LIMITS is a comma list such as
`RLIMIT_AS=1073741824,RLIMIT_CPU=15`, or empty.

With paths, the program gets an empty network namespace, may open only files below these paths, and can neither make
sockets nor change the metadata of files, as far as the kernel supports it; `selftest.open_ways` reports what stays
possible. The numbers are those of <linux/landlock.h>, <linux/prctl.h>, <linux/sched.h>, <linux/seccomp.h>,
<linux/filter.h> and <asm/unistd.h>.
"""

from __future__ import annotations

import ctypes
import os
import resource
import sys

PR_SET_PDEATHSIG, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 1, 22, 38
SIGKILL, SIGPIPE, SIGXFSZ = 9, 13, 25
CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000

LANDLOCK_CREATE, LANDLOCK_ADD, LANDLOCK_RESTRICT = 444, 445, 446  # system calls
LANDLOCK_CREATE_VERSION = 1
LANDLOCK_PATH = 1  # kind of rule
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR, TRUNCATE, IOCTL = 1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 14, 1 << 15
MAKE = 0b0000110110000  # and remove, files and folders
MAKE_ALL = 0b1111111110000  # also links and devices
REFER = 1 << 13
TCP = 0b11  # bind and connect
SCOPE = 0b11  # abstract sockets of others, signals to others

# System calls that fail with EPERM: sockets (also of AF_UNIX and AF_VSOCK, which no namespace stops), metadata of files
# (which Landlock does not cover), mounts and namespaces, other processes, and ways around these.
CALLS_OF_ALL = (
    *range(425, 434),
    438,
    442,
    452,
    *range(463, 467),
)  # io_uring_*, mounts, pidfd_getfd, fchmodat2, *xattrat
CALLS = {
    # socket, connect, bind, socketpair, chmod, chown, utime, xattr, mount, unshare, setns, ptrace, process_vm_*, …
    "x86_64": (
        0xC000003E,
        (
            *(
                41,
                42,
                49,
                53,
                90,
                91,
                92,
                93,
                94,
                101,
                132,
                155,
                165,
                166,
                *range(188, 200),
                235,
                248,
                249,
                250,
            ),
            *(260, 261, 268, 272, 280, 298, 303, 304, 308, 310, 311, 321, 323),
        ),
    ),
    "aarch64": (
        0xC00000B7,
        (
            *range(5, 17),
            *(
                39,
                40,
                41,
                52,
                53,
                54,
                55,
                88,
                97,
                117,
                198,
                199,
                200,
                203,
                217,
                218,
                219,
                241,
                264,
                265,
                268,
                270,
            ),
            *(271, 280, 282),
        ),
    ),
}
FILTER_MODE, ALLOW, REFUSE = 2, 0x7FFF0000, 0x00050001  # EPERM
LOAD, EQUAL, AT_LEAST, RETURN = 0x20, 0x15, 0x35, 0x06  # instructions of BPF
X32 = 0x40000000  # the calls of the x32 interface have this bit


class Ruleset(ctypes.Structure):
    """The rights that are denied unless a rule allows them; older kernels know only the first fields."""

    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scope", ctypes.c_uint64))


class PathRule(ctypes.Structure):
    """The rights that are allowed below a folder, or for a file."""

    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


class Filter(ctypes.Structure):
    """A BPF program: struct sock_fprog."""

    _fields_ = (("length", ctypes.c_ushort), ("program", ctypes.c_char_p))


def main() -> None:
    parent, limits, *rest = sys.argv[1:]
    end = rest.index("--")
    rules, command = rest[:end], rest[end + 1 :]
    libc = ctypes.CDLL(None)
    if rules and sys.platform == "linux":
        libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        cut_network(libc)
        confine_files(libc, rules)
        refuse_calls(libc)
    if sys.platform == "linux":
        libc.prctl(PR_SET_PDEATHSIG, SIGKILL)  # last, because the kernel resets it when rights change
    if os.getppid() != int(parent):
        sys.exit("the parent process is gone")  # it died before the line above could take effect
    for limit in filter(None, limits.split(",")):
        name, _, value = limit.partition("=")
        set_limit(name, int(value))
    for number in (SIGPIPE, SIGXFSZ):
        libc.signal(number, None)  # Python ignores them, and exec would inherit that
    os.execv(command[0], command)  # noqa: S606 - no shell is the point


def set_limit(name: str, value: int) -> None:
    try:
        # The kernel sends SIGXCPU, which shows the reason, at the soft limit, and SIGKILL at the hard one.
        hard = value + 1 if name == "RLIMIT_CPU" else value
        _, highest = resource.getrlimit(getattr(resource, name))
        if highest != resource.RLIM_INFINITY:
            hard = min(hard, highest)
        resource.setrlimit(getattr(resource, name), (min(value, hard), hard))
    except (AttributeError, ValueError):
        pass  # macOS lacks some, and refuses most values of RLIMIT_AS


def cut_network(libc: ctypes.CDLL) -> None:
    # Root needs no user namespace; inside one it would no longer own its files.
    if libc.unshare(CLONE_NEWNET) != 0:
        libc.unshare(CLONE_NEWUSER | CLONE_NEWNET)


def confine_files(libc: ctypes.CDLL, rules: list[str]) -> None:
    version = libc.syscall(LANDLOCK_CREATE, None, 0, LANDLOCK_CREATE_VERSION)
    if version < 1:
        return
    reading = EXECUTE | READ_FILE | READ_DIR
    writing = WRITE_FILE | MAKE | (REFER if version >= 2 else 0) | (TRUNCATE if version >= 3 else 0)
    handled = reading | writing | MAKE_ALL | (IOCTL if version >= 5 else 0)
    denied = Ruleset(handled, TCP if version >= 4 else 0, SCOPE if version >= 6 else 0)
    size = 8 if version < 4 else 16 if version < 6 else 24
    ruleset = libc.syscall(LANDLOCK_CREATE, ctypes.byref(denied), size, 0)
    for text in rules:
        right, _, path = text.partition("=")
        try:
            place = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            continue  # some systems lack some of these folders
        allowed = reading | writing if right == "write" else reading
        if not os.path.isdir(path):  # noqa: PTH112 - pathlib would double the start-up time
            allowed &= EXECUTE | READ_FILE | WRITE_FILE | TRUNCATE
        rule = PathRule(allowed, place)
        libc.syscall(LANDLOCK_ADD, ruleset, LANDLOCK_PATH, ctypes.byref(rule), 0)
        os.close(place)
    libc.syscall(LANDLOCK_RESTRICT, ruleset, 0)


def refuse_calls(libc: ctypes.CDLL) -> None:
    machine = os.uname().machine
    if machine not in CALLS:
        return
    architecture, calls = CALLS[machine]
    refused = sorted({*calls, *CALLS_OF_ALL})
    # Each line: instruction, lines to skip if true, lines to skip if false, operand.
    last = len(refused) + 1
    lines = [
        (LOAD, 0, 0, 4),  # seccomp_data.arch
        (EQUAL, 0, last + 2, architecture),
        (LOAD, 0, 0, 0),  # seccomp_data.nr
        (AT_LEAST, last, 0, X32),
        *((EQUAL, last - 1 - index, 0, call) for index, call in enumerate(refused)),
        (RETURN, 0, 0, ALLOW),
        (RETURN, 0, 0, REFUSE),
    ]
    program = b"".join(
        code.to_bytes(2, "little") + bytes((yes, no)) + operand.to_bytes(4, "little")
        for code, yes, no, operand in lines
    )
    libc.prctl(PR_SET_SECCOMP, FILTER_MODE, ctypes.byref(Filter(len(lines), program)), 0, 0)


if __name__ == "__main__":
    main()
