"""Servers on hardware KVM, in short: what tests/system/test_servers.py and test_runtimes.py ask in thousands.

The CPU is emulated here, and a test is for what works: one start of each program, and each of its ways once.
"""
import hashlib
import http.client
import json
import os

from harness import expect, temporary_folder
from test_dynamic import PYTHON, WITH_PYTHON
from test_runtimes import ECHO as NODE_ECHO
from test_runtimes import NODE, NODE_OPTIONS
from test_servers import NGINX, NGINX_CONFIG, client_of, get, server
from test_sockets import LIMIT_S, connect, network_test

LARGE_BYTES = 1 << 20
CONNECTIONS = 20

# http.server and an echo server of asyncio in one process: most of the time here is Python's start.
BOTH_OF_PYTHON = """
import asyncio, http.server, threading
pages = http.server.ThreadingHTTPServer(("0.0.0.0", 80), http.server.SimpleHTTPRequestHandler)
threading.Thread(target=pages.serve_forever, daemon=True).start()
async def echo(reader, writer):
    while line := await reader.readline():
        writer.write(line.upper())
        await writer.drain()
    writer.close()
async def main():
    async with await asyncio.start_server(echo, "0.0.0.0", 7000) as server:
        await server.serve_forever()
asyncio.run(main())
"""


@network_test("in short: nginx answers on many connections, and sends a file that is whole")
def _(network, tap):
    with temporary_folder() as folder:
        large = os.urandom(LARGE_BYTES)
        for name, content in (("small", b"a small file\n"), ("large", large),
                              ("nginx.conf", NGINX_CONFIG.format(root=folder).encode())):
            with open(os.path.join(folder, name), "wb") as file:
                file.write(content)
        with server(network, tap, 80, ["--with", folder], NGINX, "-p", "/tmp", "-c", f"{folder}/nginx.conf"):
            clients = [client_of(network, tap) for _ in range(CONNECTIONS)]
            for client in [*clients, *clients]:
                expect(get(client, "/small") == b"a small file\n", "the small file")
            expect(get(clients[0], "/large") == large, "the large file")
            for client in clients:
                client.close()


@network_test("in short: python3 with http.server, and an echo server of asyncio")
def _(network, tap):
    with server(network, tap, 7000, [*WITH_PYTHON, "--memory", "512"], PYTHON, "-c", BOTH_OF_PYTHON):
        connections = [connect(network, tap.guest_address, 7000) for _ in range(3)]
        for number, each in enumerate(connections):
            each.sendall(b"line %d\n" % number)
        for number, each in enumerate(connections):
            expect(each.makefile("rb").readline() == b"LINE %d\n" % number, "the echo")
            each.close()
        expect(b"Directory listing" in get(client_of(network, tap), "/"), "the listing")


@network_test("in short: node answers over HTTP")
def _(network, tap):
    with server(network, tap, 8000, NODE_OPTIONS, NODE, "-e", NODE_ECHO):
        client = http.client.HTTPConnection(tap.guest_address, 8000, timeout=LIMIT_S)
        client.sock = connect(network, tap.guest_address, 8000)
        for number in range(5):
            body = b"%d" % number * 1000
            client.request("POST", f"/{number}", body)
            answer = json.loads(client.getresponse().read())
            wanted = {"method": "POST", "url": f"/{number}", "sha256": hashlib.sha256(body).hexdigest()}
            expect(answer == wanted, str(answer))
        client.close()
