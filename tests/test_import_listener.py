"""Importing the library changes nothing in the process of the user, and reads nothing of its environment."""

from __future__ import annotations

import subprocess
import sys

EVERY_MODULE = """
import asyncio, importlib, logging, os, pathlib, signal, sys, warnings
import prometheus_client, prometheus_client.metrics


def state():
    loggers = [logging.root, *logging.root.manager.loggerDict.values()]
    return {
        "prometheus_client": prometheus_client.metrics._use_created,
        "its registry": list(prometheus_client.REGISTRY._names_to_collectors),
        "logging": [
            (one.name, one.level, one.disabled) for one in loggers if isinstance(one, logging.Logger) and one.level
        ],
        "handlers": list(logging.root.handlers),
        "warnings": list(warnings.filters),
        "asyncio": type(asyncio.get_event_loop_policy()),
        "environ": dict(os.environ),
        "sys": (list(sys.path), sys.excepthook, sys.unraisablehook),
        "signals": (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)),
    }


read = []


def is_ours():
    return sys._getframe(2).f_globals.get("__name__", "").startswith("listener")


class Environ(dict):
    def __getitem__(self, name):
        if is_ours():
            read.append(name)
        return super().__getitem__(name)

    def get(self, name, default=None):
        if is_ours():
            read.append(name)
        return super().get(name, default)


def stat(path, *args, _stat=os.stat, **kwargs):
    if ".env" in str(path):
        read.append(str(path))
    return _stat(path, *args, **kwargs)


before = state()
os.environ, os.stat = Environ(os.environ), stat
import listener

root = pathlib.Path(listener.__path__[0])
paths = [path.relative_to(root) for path in root.rglob("*.py")]
# The command line is a program, and so are the files that end in _main or __main__.
names = [
    ".".join(("listener", *path.with_suffix("").parts)).removesuffix(".__init__")
    for path in paths
    if path.parts[0] != "cli" and not path.stem.rstrip("_").endswith("_main")
]
for name in names:
    importlib.import_module(name)
after = state()
assert len(names) > 80
assert before == after, [(key, before[key], after[key]) for key in before if before[key] != after[key]]
assert read == [], read
"""


def test_importing_every_module_has_no_side_effect() -> None:
    subprocess.run([sys.executable, "-c", EVERY_MODULE], check=True)
