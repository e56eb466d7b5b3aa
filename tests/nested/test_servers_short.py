"""Servers on hardware KVM, in short: what tests/system/test_servers.py and test_runtimes.py ask in thousands.

The CPU is emulated here, and a test is for what works: one start of each program, and each of its ways once.
"""
from harness import expect
from test_dynamic import PYTHON
from test_runtimes import ask_node
from test_servers import HTTP_SERVER_OPTIONS, ask_echo, client_of, get, nginx, server
from test_sockets import network_test

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
    with nginx(network, tap, LARGE_BYTES) as large:
        clients = [client_of(network, tap) for _ in range(CONNECTIONS)]
        for client in [*clients, *clients]:
            expect(get(client, "/small") == b"a small file\n", "the small file")
        expect(get(clients[0], "/large") == large, "the large file")
        for client in clients:
            client.close()


@network_test("in short: python3 with http.server, and an echo server of asyncio")
def _(network, tap):
    with server(network, tap, 7000, HTTP_SERVER_OPTIONS, PYTHON, "-c", BOTH_OF_PYTHON):
        ask_echo(network, tap, 3)
        expect(b"Directory listing" in get(client_of(network, tap), "/"), "the listing")


@network_test("in short: node answers over HTTP")
def _(network, tap):
    ask_node(network, tap, 5)
