"""Child processes that can read, write and use no more than they are given.

`run_python` runs a Python program by path; `process.spawn` runs any program.
"""

from listener.kit.sandbox.policy import Confinement
from listener.kit.sandbox.process import Child, spawn
from listener.kit.sandbox.python import SandboxError, run_python

__all__ = ["Child", "Confinement", "SandboxError", "run_python", "spawn"]
