"""curl inside speaks HTTP with a server on the host, over IPv4 and IPv6."""
import contextlib
import hashlib
import http.server
import os
import socket
import threading

from harness import TIME_SCALE, expect
from test_sockets import host6, inside, network_test

PORT = 8000
LARGE_BYTES = int(20_000_000 / TIME_SCALE ** 2)


class Handler(http.server.BaseHTTPRequestHandler):
    """Gives random bytes, and says what it got: method, path and a checksum."""
    protocol_version = "HTTP/1.1"
    large = os.urandom(LARGE_BYTES)

    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/there")
            self.send_header("Content-Length", "0")
            self.end_headers()
        else:
            self.answer(self.large if self.path == "/large" else b"GET " + self.path.encode() + b"\n")

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(f"POST {self.path} {hashlib.sha256(body).hexdigest()}\n".encode())

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def web_server(network, address):
    """A server in the network's namespace."""
    listener = network.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((address, PORT))
    listener.listen(16)
    server = http.server.ThreadingHTTPServer((address, PORT), Handler, bind_and_activate=False)
    server.socket.close()
    server.socket = listener
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def curl(network, tap, *words, vcpus=1, stdin=b""):
    result = inside(network, tap, "curl", "-sS", "--fail", "--max-time", "60", *words, vcpus=vcpus, stdin=stdin)
    expect(result.code == 0, str(result))
    return result.out


def ask(network, tap, url, vcpus):
    def get(*words, stdin=b""):
        return curl(network, tap, *words, vcpus=vcpus, stdin=stdin)

    expect(get(f"{url}/a", f"{url}/b") == b"GET /a\nGET /b\n", "two requests over one connection")
    expect(get("-L", f"{url}/moved") == b"GET /there\n", "what a redirection led to")
    large = get(f"{url}/large")
    expect(large == Handler.large, f"{len(large)} bytes, or not the ones that were sent")
    answer = get("--data-binary", "@-", f"{url}/post", stdin=Handler.large)
    expect(answer.decode() == f"POST /post {hashlib.sha256(Handler.large).hexdigest()}\n", str(answer))


for family, vcpus in (("IPv4", 1), ("IPv6", 1), ("IPv4", 2), ("IPv6", 2)):
    def _(network, tap, family=family, vcpus=vcpus):
        address = tap.host_address if family == "IPv4" else host6(tap)
        with web_server(network, address):
            host = f"[{address}]" if family == "IPv6" else address
            ask(network, tap, f"http://{host}:{PORT}", vcpus)

    network_test(f"curl inside gets and posts large files with checksums over {family}, {vcpus} vCPUs")(_)


@network_test("curl inside says why it got nothing")
def _(network, tap):
    result = inside(network, tap, "curl", "-sS", f"http://{tap.host_address}:{PORT}/")
    expect(result.code == 7 and b"Failed to connect" in result.err, str(result))
