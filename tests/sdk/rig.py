"""The scripted upstream and the gateway as processes, and plain HTTP to both."""

import contextlib
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("SLUICEGATE_BIN_DIR", ROOT / "target" / "debug"))
MASTER_KEY = "sk-master-0123456789abcdef0123456789abcdef"
UPSTREAM_KEY = "sk-upstream-0123456789"
START_LIMIT_S = 30
# No call of a test takes longer; the SDKs' own limit is ten minutes.
CALL_LIMIT_S = 30

# Loopback calls must not go to a proxy that the environment names.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def text(self):
        return self.body.decode(errors="replace")

    def json(self):
        return json.loads(self.body)


def http(method, url, body=None, key=None, headers=None, timeout=30):
    """One call; an error status is an answer, not an exception."""
    data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, method=method)
    request.add_header("content-type", "application/json")
    if key:
        request.add_header("authorization", f"Bearer {key}")
    for name, value in (headers or {}).items():
        request.add_header(name, value)
    try:
        with _OPENER.open(request, timeout=timeout) as got:
            return Answer(got.status, got.headers, got.read())
    except urllib.error.HTTPError as error:
        return Answer(error.code, error.headers, error.read())


class Upstream:
    """The scripted upstream; see `tests/src/fake`."""

    def __init__(self):
        self.process = subprocess.Popen(
            [BIN / "fake-upstream", "--key", UPSTREAM_KEY], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        # One that says nothing and lives on must not hold up the tests.
        silent = threading.Timer(START_LIMIT_S, self.process.kill)
        silent.start()
        line = self.process.stdout.readline()
        silent.cancel()
        assert line.startswith("listening on "), line
        self.url = "http://" + line.split()[-1]

    def requests(self):
        return http("GET", self.url + "/_control/requests").json()["requests"]

    def last(self):
        return self.requests()[-1]

    def script(self, *steps):
        answer = http("POST", self.url + "/_control/script", list(steps))
        assert answer.status == 200, answer.text

    def reset(self):
        http("DELETE", self.url + "/_control/requests")
        http("DELETE", self.url + "/_control/script")

    def stop(self):
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Gateway:
    """`sluicegate serve` with a file, on a free port, in a folder of its own."""

    def __init__(self, config, folder, env=None, start_limit=START_LIMIT_S):
        self.url = None
        self.folder = pathlib.Path(folder)
        self.log = self.folder / "gateway.log"
        command = [BIN / "sluicegate", "serve", "--config", config, "--host", "127.0.0.1"]
        # It picks its port itself: one that was free a moment ago may be somebody else's by now.
        command += ["--port", "0", "--data", self.folder / "data"]
        begin = self.log.stat().st_size if self.log.exists() else 0
        clean = {"PATH": os.environ.get("PATH", ""), "HOME": str(self.folder)}
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                command, env=clean | (env or {}), stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder
            )
        started = time.monotonic()
        while not self.ready(begin):
            gone = self.process.poll() is not None
            if gone or time.monotonic() - started > start_limit:
                self.stop()
                raise AssertionError(f"the gateway is not ready; its log says:\n{self.log.read_text()}")
            time.sleep(0.05)

    def ready(self, begin=0):
        said = re.search(rb"listens on (http://\S+)\n", self.log.read_bytes()[begin:])
        if not said:
            return False
        self.url = said[1].decode()
        try:
            return self.call("GET", "/health/readiness", timeout=2).status == 200
        except OSError:
            return False

    def call(self, method, path, body=None, key=None, **rest):
        return http(method, self.url + path, body, key, **rest)

    def new_key(self, **fields):
        answer = self.call("POST", "/key/generate", fields, MASTER_KEY)
        assert answer.status == 200, answer.text
        return answer.json()["key"]

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise AssertionError("the gateway did not stop within 20 s of SIGTERM") from None


@contextlib.contextmanager
def gateway(*args, **rest):
    it = Gateway(*args, **rest)
    try:
        yield it
    finally:
        it.stop()
