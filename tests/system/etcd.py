"""An etcd cluster of real processes, in general without fsync: a test's state dies with it."""
import base64
import http.client
import json
import pathlib
import signal
import socket
import ssl
import subprocess
import time

from certificates import make_authority, make_certificate
from harness import ENVIRONMENT, TIME_SCALE, Failure, expect


def free_ports(count):
    """Bound all at once, so that they differ."""
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


class Etcd:
    """`with Etcd(folder, members) as etcd:` an etcd that answers."""

    def __init__(self, folder, members=1, address="127.0.0.1", network=None, flushes=False, tls=False):
        """In a network namespace (netns.py) that has the address, or on the loopback interface."""
        self.folder = pathlib.Path(folder)
        self.address = address
        self.network = network
        self.flushes = flushes
        self.scheme = "https" if tls else "http"
        self.files = self.make_certificates() if tls else None
        ports = free_ports(2 * members)
        self.ports = ports[:members]
        self.peers = ports[members:]
        self.processes = [None] * members
        self.stopped = set()
        for member in range(members):
            self.start(member)
        self.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for member in range(len(self.processes)):
            self.kill(member)

    def make_certificates(self):
        """{"server", "client": what certificates.py says of it}, of one authority."""
        make_authority(self.folder, "etcd-ca")
        return {who: make_certificate(self.folder, "etcd-ca", f"etcd-{who}", f"IP:{self.address}") for who in ("server", "client")}

    def url(self, port):
        return f"{self.scheme}://{self.address}:{port}"

    def urls(self):
        return [self.url(port) for port in self.ports]

    def client_options(self):
        """What shoald is told beside the URLs."""
        if self.files is None:
            return []
        files = self.files["client"]
        return ["--etcd-ca", files["authority_path"], "--etcd-cert", files["certificate_path"], "--etcd-key", files["key_path"]]

    def start(self, member):
        cluster = ",".join(f"m{number}=http://{self.address}:{port}" for number, port in enumerate(self.peers))
        client, peer = self.urls()[member], f"http://{self.address}:{self.peers[member]}"
        with open(self.folder / f"etcd{member}.log", "ab") as log:
            words = ["etcd", "--name", f"m{member}", "--data-dir", self.folder / f"etcd{member}",
                     "--listen-client-urls", client, "--advertise-client-urls", client, "--listen-peer-urls", peer,
                     "--initial-advertise-peer-urls", peer, "--initial-cluster", cluster, "--log-level", "warn",
                     # As README.md says, of members that are near each other.
                     "--heartbeat-interval", "50", "--election-timeout", "500"]
            words += [] if self.flushes else ["--unsafe-no-fsync"]
            if self.files is not None:
                files = self.files["server"]
                words += ["--cert-file", files["certificate_path"], "--key-file", files["key_path"], "--client-cert-auth",
                          "--trusted-ca-file", files["authority_path"]]
            self.processes[member] = subprocess.Popen(self.network.command(words) if self.network else words,
                                                      stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=ENVIRONMENT)

    def connect(self, member):
        connection = self.network.socket() if self.network else socket.socket()
        connection.settimeout(2)
        connection.connect((self.address, self.ports[member]))
        if self.files is None:
            return connection
        files = self.files["client"]
        context = ssl.create_default_context(cafile=files["authority_path"])
        context.load_cert_chain(files["certificate_path"], files["key_path"])
        return context.wrap_socket(connection, server_hostname=self.address)

    def call(self, member, path, **body):
        """The answer of etcd's JSON gateway; nothing while the member does not answer."""
        http_connection = http.client.HTTPConnection(self.address)
        try:
            http_connection.sock = self.connect(member)
            http_connection.request("POST", path, json.dumps(body))
            answer = http_connection.getresponse()
            return json.loads(answer.read()) if answer.status == 200 else None
        except (OSError, http.client.HTTPException):
            return None
        finally:
            http_connection.close()

    def wait(self):
        deadline = time.monotonic() + 30 * TIME_SCALE
        for member in range(len(self.processes)):
            while self.call(member, "/v3/kv/range", key=base64.b64encode(b"x").decode()) is None:
                expect(time.monotonic() < deadline, f"member {member} of etcd never answers")
                time.sleep(0.05)

    def runs(self, member):
        return self.processes[member] is not None and member not in self.stopped

    def list(self, prefix, is_local=False):
        """{key: value}, of whichever member answers. Local: as that one knows it, whether it has a leader or not."""
        end = prefix[:-1] + chr(ord(prefix[-1]) + 1)
        words = {name: base64.b64encode(word.encode()).decode() for name, word in (("key", prefix), ("range_end", end))}
        for member in range(len(self.processes)):
            if self.runs(member) and (answer := self.call(member, "/v3/kv/range", serializable=is_local, **words)):
                return {base64.b64decode(entry["key"]).decode(): base64.b64decode(entry.get("value", "")).decode()
                        for entry in answer.get("kvs", [])}
        raise Failure("no member of etcd answers")

    def leader(self):
        """The member that leads; None: nobody does."""
        for member in range(len(self.processes)):
            status = self.call(member, "/v3/maintenance/status") if self.runs(member) else None
            if status and status.get("leader", "0") == status["header"]["member_id"]:
                return member
        return None

    def kill(self, member):
        process = self.processes[member]
        if process is not None:
            process.kill()
            process.wait()
            self.processes[member] = None
            self.stopped.discard(member)

    def stop(self, member):
        self.processes[member].send_signal(signal.SIGSTOP)
        self.stopped.add(member)

    def go_on(self, member):
        self.processes[member].send_signal(signal.SIGCONT)
        self.stopped.discard(member)
