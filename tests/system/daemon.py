"""A shoald with folders of its own, and requests on its socket."""
import json
import os
import pathlib
import select
import signal
import subprocess
import time

from api import Api
from harness import ENVIRONMENT, ROOT, TIME_SCALE, Failure, expect, reap

SHOALD = str(ROOT / "build/shoald")
FINAL = ("succeeded", "failed")


class Daemon:
    """`with Daemon(folder) as daemon:` a shoald that answers. At the end it is gone, and what it ran."""

    def __init__(self, folder, *options, within=()):
        """`within` is a command that runs another, as nsenter does."""
        self.folder = pathlib.Path(folder)
        self.run_dir = self.folder / "run"
        self.state_dir = self.folder / "state"
        self.socket = self.run_dir / "shoald.socket"
        self.options = options
        self.within = within
        self.api = Api(self.socket)
        self.process = None
        self.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            for group in self.done("GET", "/v1/groups")["items"]:  # else their members would come again
                self.done("DELETE", f"/v1/groups/{group['spec']['name']}")
            self.wait(self.delete_page, "the microVMs to go")
        finally:
            self.process.terminate()
            code = self.process.wait()
            errors = self.process.stderr.read()
            self.process.stderr.close()
            reap()
            expect(code == 0, f"shoald ended with {code}: {errors!r}")
            expect(not self.cgroups(), f"control groups were left behind: {self.cgroups()}")

    def delete_page(self):
        """True when there are none."""
        there = self.list()
        for item in there:
            if not item["deletion"]:
                self.request("DELETE", f"/v1/microvms/{item['name']}?grace_s=0")
        return not there

    def start(self):
        self.process = subprocess.Popen(
            [*self.within, SHOALD, "--run-dir", self.run_dir, "--state-dir", self.state_dir, *self.options],
            env=ENVIRONMENT, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

        def answers():
            if self.process.poll() is not None:
                raise Failure(f"shoald ended: {self.process.stderr.read()!r}")
            try:
                return self.api.request("GET", "/v1/host")[0] == 200
            except (FileNotFoundError, ConnectionError):
                return False

        self.wait(answers, "shoald to answer")

    def kill(self):
        """kill -9, at once."""
        self.process.kill()
        expect(self.process.wait() == -signal.SIGKILL, f"it died before: {self.process.stderr.read()!r}")
        self.process.stderr.close()

    def request(self, method, path, body=None):
        """Status and document of the answer."""
        status, answer = self.api.request(method, path, body)
        return status, json.loads(answer) if answer[:1] in (b"{", b"[") else answer

    def done(self, method, path, body=None):
        status, answer = self.request(method, path, body)
        expect(200 <= status < 300, f"{method} {path} {body}: {status} {answer}")
        return answer

    def create(self, program, *arguments, **more):
        return self.done("POST", "/v1/microvms", {"program": str(program), "arguments": [*arguments], **more})

    def list(self):
        return self.done("GET", "/v1/microvms")["items"]

    def microvm(self, name):
        return self.done("GET", f"/v1/microvms/{name}")

    def refused(self, expected, method, path, body=None):
        """The detail of a problem (RFC 9457)."""
        status, answer = self.request(method, path, body)
        expect(status == expected, f"{method} {path} {body}: {status} {answer}, not {expected}")
        expect(answer["status"] == status and set(answer) == {"type", "title", "status", "detail"}, f"{answer}")
        return answer["detail"]

    def log(self, name, query=""):
        return self.api.request("GET", f"/v1/microvms/{name}/logs{query}")[1]

    def wait(self, is_done, what, timeout_s=60):
        deadline = time.monotonic() + timeout_s * TIME_SCALE
        asked_at = time.monotonic()
        while not (value := is_done()):
            now = time.monotonic()
            if now > deadline:
                raise Failure(f"waited in vain for {what}")
            # Where asking takes long it is not what the machine shall be busy with.
            select.select([], [], [], max(0.005, 4 * (now - asked_at)))
            asked_at = time.monotonic()
        return value

    def wait_phase(self, name, *phases):
        def reached():
            microvm = self.microvm(name)
            return microvm if microvm["status"]["phase"] in phases else None

        return self.wait(reached, f"{name} to be one of {phases}")

    def wait_gone(self, name):
        self.wait(lambda: self.request("GET", f"/v1/microvms/{name}")[0] == 404, f"{name} to be gone")

    def run_folders(self):
        return sorted(path.name for path in (self.run_dir / "microvms").iterdir())

    def cgroups(self):
        """Control groups of its microVMs, and the folders that hold them."""
        name = "shoal-" + str(self.run_dir).replace("/", "-").lstrip("-")
        found = {}
        for pattern in ("", "*/"):
            for folder in pathlib.Path("/sys/fs/cgroup").glob(pattern + name):
                found[folder] = sorted(path.name for path in folder.iterdir() if path.is_dir())
        return found

    def processes(self):
        """Of its microVMs, by what they were started with: {pid: command line}."""
        found = {}
        for path in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                words = (path / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            is_ours = any(str(self.run_dir) in target for target in descriptors(path))
            if is_ours and int(path.name) != self.process.pid:
                found[int(path.name)] = words
        return found


def descriptors(process):
    """What its open files are: supervisors and VMMs hold their run folder's lock."""
    try:
        names = list((process / "fd").iterdir())
    except OSError:
        return []
    found = []
    for name in names:
        try:
            found.append(os.readlink(name))
        except OSError:
            pass
    return found
