"""An app whose handlers say every secret that they know, in every way that a handler can say something."""

from __future__ import annotations

import os

from listener import App, Fail, Job, Retry
from listener.kit import ffmpeg

SECRETS = (
    "DATABASE_URL",
    "SUPABASE_SERVICE_KEY",
    "SUPABASE_JWT_SECRET",
    "API_TOKEN",
    "WEBHOOK_SECRET",
    "SIGNED_URL",
)

app = App()


@app.handler("jobs", concurrency=4)
async def tell(job: Job) -> None:
    secrets = " and ".join(os.environ[name] for name in SECRETS)
    job.progress(10, f"I know {secrets}")
    job.warn(f"I know {secrets}")
    job.log.error("I know", secrets=secrets, listed=secrets.split())
    match job.row["kind"]:
        case "fail":
            raise Fail(f"It is all because of {secrets}.")
        case "retry":
            raise Retry(secrets, delay=0)
        case "long":
            # Where a text is cut, half a secret must not be left.
            raise Fail("x" * 1990 + secrets)
        case "film":
            source = ["-re", "-f", "lavfi", "-i", "testsrc2=size=64x64:duration=60"]
            await ffmpeg.run([*source, job.workdir / "film.mkv"], duration=60, on_progress=job.progress)
        case _:
            raise RuntimeError(secrets, [secrets]) from ValueError(secrets)
