"""Run an app in a test: on a separate database, with a local storage, in the process of the test.

`running_app` runs an app for the length of a block and gives its `Harness`. With pytest, write
`pytest_plugins = ["listener.testing.plugin"]` into `conftest.py`, and use the fixture `run_app`.
"""

from listener.testing.demo import DemoFailed, download
from listener.testing.harness import Harness, running_app
from listener.testing.records import AttemptRecord, JobFailed, JobRecord

__all__ = [
    "AttemptRecord",
    "DemoFailed",
    "Harness",
    "JobFailed",
    "JobRecord",
    "download",
    "running_app",
]
