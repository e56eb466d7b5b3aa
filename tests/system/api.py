"""A shoal-vmm that is driven through its API: the process, and requests on its socket."""
import http.client
import json
import os
import pathlib
import select
import socket
import subprocess
import time

from harness import ENVIRONMENT, TIME_SCALE, VMM, Failure, expect, shorten

BEFORE_START = "The requested operation is not supported before starting the microVM."
AFTER_START = "The requested operation is not supported after starting the microVM."


class Api:
    """Requests on the unix socket of a shoal-vmm, each on a connection of its own."""

    def __init__(self, path):
        self.path = str(path)

    def connect(self):
        """A connection for http.client's requests."""
        connection = http.client.HTTPConnection("localhost")
        connection.sock = connect(self.path)
        return connection

    def request(self, method, path, body=None):
        """Status and body of the answer. `body` is text, or becomes JSON."""
        connection = self.connect()
        try:
            text = body if body is None or isinstance(body, str) else json.dumps(body)
            connection.request(method, path, text)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def put(self, path, **body):
        self._expect_done("PUT", path, body)

    def patch(self, path, **body):
        self._expect_done("PATCH", path, body)

    def get(self, path):
        status, answer = self.request("GET", path)
        if status != 200:
            raise Failure(f"GET {path}: {status} {answer!r}")
        return json.loads(answer)

    def fault(self, method, path, body=None):
        """The fault_message of a request that must be refused."""
        status, answer = self.request(method, path, body)
        if status != 400:
            raise Failure(f"{method} {path} {body} was not refused: {status} {answer!r}")
        document = json.loads(answer)
        expect(list(document) == ["fault_message"], f"{method} {path}: {answer!r}")
        return document["fault_message"]

    def expect_fault(self, text, method, path, body=None):
        """A refusal with exactly this text."""
        fault = self.fault(method, path, body)
        expect(fault == text, f"{method} {path} {body}: {fault!r} instead of {text!r}")

    def expect_fault_with(self, pieces, method, path, body=None):
        """A refusal with all these pieces in its text."""
        fault = self.fault(method, path, body)
        for piece in pieces:
            expect(piece in fault, f"{method} {path} {body}: {piece!r} is not in {fault!r}")

    def _expect_done(self, method, path, body):
        status, answer = self.request(method, path, body)
        if status != 204:
            raise Failure(f"{method} {path} {body}: {status} {answer!r}")


def connect(path):
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(30 * TIME_SCALE)
    try:
        connection.connect(str(path))
    except BaseException:
        connection.close()
        raise
    return connection


class ApiVmm:
    """`with ApiVmm(folder) as vmm:` a shoal-vmm whose API answers, or one without API."""

    def __init__(self, folder, *options, command=lambda words: words, socket_name="api.socket", pass_fds=()):
        self.folder = pathlib.Path(folder)
        self.socket_path = self.folder / socket_name
        with_api = "--no-api" not in options
        words = [VMM, *(["--api-sock", self.socket_path] if with_api else []), *options]
        self.process = subprocess.Popen(command([str(word) for word in words]), env=ENVIRONMENT,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        pass_fds=pass_fds)
        os.set_blocking(self.process.stdout.fileno(), False)
        self.api = Api(self.socket_path)
        self.seen = b""  # on stdout, not yet asked for
        try:
            if with_api:
                self._wait_for_socket()
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            stream.close()

    def _wait_for_socket(self):
        deadline = time.monotonic() + 30 * TIME_SCALE
        while True:
            try:
                self.api.request("GET", "/")
                return
            except (FileNotFoundError, ConnectionRefusedError):
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise Failure(f"no API: {self.process.stderr.read()!r}") from None
                select.select([], [], [], 0.001 * TIME_SCALE)

    def start(self):
        self.api.put("/actions", action_type="InstanceStart")

    def wait_for(self, text, timeout_s=30 * TIME_SCALE):
        """What stdout says before `text`."""
        deadline = time.monotonic() + timeout_s
        while text not in self.seen:
            left = deadline - time.monotonic()
            if left <= 0 or not self.read_more(left):
                raise Failure(f"stdout never said {text!r}: {shorten(self.seen)}; {self.why_over()}")
        before, self.seen = self.seen.split(text, 1)
        return before

    def read_more(self, timeout_s):
        """Adds to what was seen. False at the end of stdout, or when the time is over."""
        ready, _, _ = select.select([self.process.stdout], [], [], max(0, timeout_s))
        data = self.process.stdout.read(65536) if ready else None
        self.seen += data or b""
        return bool(ready) and data != b""  # None: there was nothing to read after all

    def why_over(self):
        if self.process.poll() is None:
            return "it still runs"
        return f"exit code {self.process.returncode}, stderr {self.process.stderr.read()!r}"

    def wait_end(self, timeout_s=30 * TIME_SCALE):
        """The exit code of shoal-vmm, once it has ended."""
        deadline = time.monotonic() + timeout_s
        while self.read_more(deadline - time.monotonic()):
            pass
        try:
            return self.process.wait(max(1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise Failure(f"shoal-vmm did not end: {shorten(self.seen)}") from None

    def errors(self):
        """What it said on stderr, once it has ended."""
        return self.process.stderr.read().decode(errors="replace")


def receive(end, count):
    """So many bytes of a socket."""
    data = b""
    while len(data) < count:
        piece = end.recv(count - len(data))
        if not piece:
            raise OSError("closed")
        data += piece
    return data
