"""A cable between one host and etcd, which can be pulled, or lose what comes in one direction."""
import selectors
import socket
import threading

from etcd import free_ports

UP, PULLED, NO_ANSWERS = "up", "pulled", "no answers"


class Link(threading.Thread):
    """Forwards TCP connections to `target`. A pulled cable loses bytes and closes nothing, as a real one; what was
    lost is lost for the connection, which is then ended once the cable is plugged in again."""

    def __init__(self, target):
        super().__init__(daemon=True)
        self.target = ("127.0.0.1", target)
        self.port = free_ports(1)[0]
        self.listener = socket.create_server(("127.0.0.1", self.port))
        self.state = UP
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.listener, selectors.EVENT_READ)
        self.peers = {}  # socket: the other end
        self.damaged = set()
        self.lock = threading.Lock()
        self.is_over = False
        self.start()

    def set(self, state):
        with self.lock:
            self.state = state
            if state == UP:
                for each in list(self.damaged):
                    self._close(each)

    def close(self):
        with self.lock:
            self.is_over = True
            for each in list(self.peers):
                self._close(each)
        self.listener.close()

    def _close(self, one):
        other = self.peers.pop(one, None)
        for each in (one, other):
            self.damaged.discard(each)
            if each is not None:
                self.peers.pop(each, None)
                try:
                    self.selector.unregister(each)
                except (KeyError, ValueError):
                    pass
                each.close()

    def _accept(self):
        host, _ = self.listener.accept()
        try:
            server = socket.create_connection(self.target, timeout=1)
        except OSError:
            host.close()
            return
        for one, other, side in ((host, server, "host"), (server, host, "server")):
            self.peers[one] = other
            self.selector.register(one, selectors.EVENT_READ, side)

    def _forward(self, one, side):
        try:
            data = one.recv(65536)
        except OSError:
            data = b""
        is_lost = self.state == PULLED or (self.state == NO_ANSWERS and side == "server")
        if data and is_lost:
            self.damaged.add(one)
            return
        if not data:
            if not is_lost:
                self._close(one)
            else:  # nobody on the other side hears of it
                self.damaged.add(one)
                self.selector.unregister(one)
            return
        try:
            self.peers[one].sendall(data)
        except OSError:
            self._close(one)

    def run(self):
        while not self.is_over:
            try:
                events = self.selector.select(0.05)
            except OSError:
                return
            with self.lock:
                for key, _ in events:
                    if self.is_over:
                        return
                    if key.fileobj is self.listener:
                        self._accept()
                    elif key.fileobj in self.peers:
                        self._forward(key.fileobj, key.data)
