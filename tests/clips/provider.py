"""fal's queue, played by a small HTTP server that does what a test tells it to, and remembers everything."""

from __future__ import annotations

import json
import socket
import threading
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = tuple[int, Any]
CUT = (0, None)
"""An answer that breaks off."""

IN_QUEUE: Answer = (202, {"status": "IN_QUEUE", "queue_position": 3})
IN_PROGRESS: Answer = (202, {"status": "IN_PROGRESS", "logs": []})
COMPLETED: Answer = (200, {"status": "COMPLETED", "metrics": {}})


class Hold:
    """Keeps a request waiting until the test lets it go on."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.go_on = threading.Event()

    def wait(self) -> None:
        self.reached.set()
        self.go_on.wait(30)


class FalServer:
    """The queue at `url`.

    Attributes:
        submitted: each request that was taken or refused: model and input.
        cancelled: ids.
        keys: what was sent as Authorization.
        on_submit: answers to come, by prompt; `None` takes the request. Afterwards every request is taken.
        on_status: answers to come, by prompt; afterwards COMPLETED.
        on_result: the answer, where it is not the clip's address.
        holds: where to wait, by step (`submit`, `status`, `file`) and prompt.
        clip: what a finished clip is; `clips` has others, by prompt.
    """

    def __init__(self) -> None:
        self.submitted: list[tuple[str, dict[str, Any]]] = []
        self.cancelled: list[str] = []
        self.keys: set[str | None] = set()
        self.on_submit: dict[str, list[Answer | None]] = defaultdict(list)
        self.on_status: dict[str, list[Answer]] = defaultdict(list)
        self.on_result: dict[str, Answer] = {}
        self.holds: dict[tuple[str, str], Hold] = {}
        self.clip = b""
        self.clips: dict[str, bytes] = {}
        self._prompts: dict[str, str] = {}
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                content = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.keys.add(self.headers["Authorization"])
                self.reply(*outer.submit(self.path.strip("/"), content))

            def do_GET(self) -> None:
                self.reply(*outer.look(self.path))

            def do_PUT(self) -> None:
                outer.cancelled.append(self.path.split("/")[2])
                self.reply(202, {"status": "CANCELLATION_REQUESTED"})

            def reply(self, status: int, content: Any) -> None:
                if not status:
                    self.connection.shutdown(socket.SHUT_RDWR)
                    self.close_connection = True
                    return
                body = content if isinstance(content, bytes) else json.dumps(content).encode()
                try:
                    self.send_response(status)
                    if status == 429:
                        self.send_header("Retry-After", "0")
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)
                except OSError:
                    pass  # the client is gone

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.host = f"127.0.0.1:{self._server.server_port}"
        self.url = f"http://{self.host}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def hold(self, step: str, prompt: str) -> Hold:
        self.holds[step, prompt] = Hold()
        return self.holds[step, prompt]

    def times(self, prompt: str) -> int:
        """Return how often a prompt was submitted."""
        return sum(content["prompt"] == prompt for _, content in self.submitted)

    def number(self, prompt: str) -> str:
        """The id of its request."""
        return next(number for number, of in self._prompts.items() if of == prompt)

    def submit(self, model: str, content: dict[str, Any]) -> Answer:
        prompt = content["prompt"]
        self.submitted.append((model, content))
        number = f"r{len(self.submitted)}"
        self._prompts[number] = prompt
        self._wait("submit", prompt)
        if self.on_submit[prompt] and (answer := self.on_submit[prompt].pop(0)):
            return answer
        request = f"{self.url}/requests/{number}"
        links = {
            "status_url": f"{request}/status",
            "response_url": request,
            "cancel_url": f"{request}/cancel",
        }
        return 200, {"request_id": number, **links}

    def look(self, path: str) -> Answer:
        _, kind, number, *rest = path.split("/")
        prompt = self._prompts[number.removesuffix(".mp4")]
        if kind == "files":
            self._wait("file", prompt)
            return 200, self.clips.get(prompt, self.clip)
        if rest == ["status"]:
            self._wait("status", prompt)
            return self.on_status[prompt].pop(0) if self.on_status[prompt] else COMPLETED
        found = {"video": {"url": f"{self.url}/files/{number}.mp4", "content_type": "video/mp4"}}
        return self.on_result.get(prompt, (200, found))

    def _wait(self, step: str, prompt: str) -> None:
        if hold := self.holds.get((step, prompt)):
            hold.wait()

    def close(self) -> None:
        for hold in self.holds.values():
            hold.go_on.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
