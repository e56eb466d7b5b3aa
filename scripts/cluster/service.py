"""Clients of the group: a steady load of requests to each of its microVMs, and what came of them."""
import socket
import threading
import time

PORT = 1024
PATIENCE_S = 1.0


def ask(path, text):
    """One request by vsock (Firecracker's unix-socket protocol); the answer, or None."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(PATIENCE_S)
            connection.connect(path)
            connection.sendall(b"CONNECT %d\n" % PORT)
            line = b""
            while not line.endswith(b"\n"):
                byte = connection.recv(1)
                if not byte:
                    return None
                line += byte
            if not line.startswith(b"OK "):
                return None
            connection.sendall(text)
            answer = connection.recv(512)
            return answer if answer.endswith(text) else None
    except OSError:
        return None


class Client:
    """Of one microVM, wherever it is."""

    def __init__(self, name):
        self.name = name
        self.path = None  # of its vsock, as the control plane says
        self.requests = 0
        self.failed = 0
        self.answers = 0  # as the microVM counts them: lower than before means that it started anew
        self.starts = 0
        self.answered_at = None
        self.longest_gap_s = 0.0

    def request(self):
        self.requests += 1
        text = b"%s %d" % (self.name.encode(), self.requests)
        answer = ask(self.path, text) if self.path else None
        now = time.monotonic()
        if answer is None or not answer.startswith(self.name.encode() + b" "):
            self.failed += 1
            return
        count = int(answer.split()[1])
        if count < self.answers or self.starts == 0:
            self.starts += 1
        self.answers = count
        if self.answered_at is not None:
            self.longest_gap_s = max(self.longest_gap_s, now - self.answered_at)
        self.answered_at = now


class Service:
    """Asks every microVM `per_second` times a second, until stop()."""

    def __init__(self, names, per_second, threads=6):
        self.clients = {name: Client(name) for name in names}
        self.period_s = 1 / per_second
        self.is_over = threading.Event()
        clients = list(self.clients.values())
        self.threads = [threading.Thread(target=self._run, args=(clients[number::threads],), daemon=True) for number in range(threads)]
        for thread in self.threads:
            thread.start()

    def _run(self, clients):
        due = [time.monotonic() + self.period_s * number / len(clients) for number in range(len(clients))]
        while not self.is_over.is_set():
            for number, client in enumerate(clients):
                if self.is_over.wait(max(0, due[number] - time.monotonic())):
                    return
                client.request()
                due[number] = max(due[number] + self.period_s, time.monotonic())

    def stop(self):
        self.is_over.set()
        for thread in self.threads:
            thread.join()

    def answering_since(self, moment):
        """How many have answered after it."""
        return sum(client.answered_at is not None and client.answered_at > moment for client in self.clients.values())

    def total(self, what):
        return sum(getattr(client, what) for client in self.clients.values())

    def longest_gap_s(self):
        return max(client.longest_gap_s for client in self.clients.values())

    def forget_gaps(self):
        for client in self.clients.values():
            client.longest_gap_s = 0.0
