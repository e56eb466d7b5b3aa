"""Programs inside look names up, where ip= or DHCP says."""
import contextlib
import http.server
import os
import socket
import subprocess
import threading

from harness import BUSYBOX, ENVIRONMENT, SHOAL, expect, temporary_folder
from test_curl import PORT, Handler
from test_sockets import DHCP_SERVER, dhcp_server, network_test

NAME = b"reef.example"


def answer(query, address):
    """NAME has this IPv4 address and no other; other names do not exist (RFC 1035, 4.1)."""
    end = query.index(b"\0", 12)
    labels, question = query[12:end], query[12:end + 5]
    is_ours = labels == b"".join(bytes([len(label)]) + label for label in NAME.split(b"."))
    wants_address = question[-4:-2] == b"\0\1"
    found = is_ours and wants_address
    head = query[:2] + (b"\x81\x80" if is_ours else b"\x81\x83") + b"\0\1" + (b"\0\1" if found else b"\0\0") + b"\0\0\0\0"
    record = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4" + socket.inet_aton(address)
    return head + question + (record if found else b"")


@contextlib.contextmanager
def host_with_names(network, tap):
    """A name server and an HTTP server at the host's address. Yields the queries, as they come."""
    names = network.socket(socket.AF_INET, socket.SOCK_DGRAM)
    names.bind((tap.host_address, 53))
    queries = []

    def serve():
        while True:
            query, sender = names.recvfrom(512)
            if not query:
                return
            queries.append(query)
            names.sendto(answer(query, tap.host_address), sender)

    web = http.server.ThreadingHTTPServer((tap.host_address, PORT), Handler, bind_and_activate=False)
    web.socket.close()
    web.socket = network.socket()
    web.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    web.socket.bind((tap.host_address, PORT))
    web.server_activate()
    threads = [threading.Thread(target=serve), threading.Thread(target=web.serve_forever)]
    for thread in threads:
        thread.start()
    try:
        yield queries
    finally:
        with network.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", (tap.host_address, 53))
        web.shutdown()
        for thread in threads:
            thread.join()
        web.server_close()
        names.close()


def expect_page(network, tap, queries, place, *options):
    url = f"http://{NAME.decode()}:{PORT}/page"
    for words in ([BUSYBOX, "wget", "-q", "-O", "-", url], ["curl", "-sS", url]):
        before = len(queries)
        result = network.run([SHOAL, "run", "--network", f"tap={tap.name}{place}", *options, "--", *words])
        expect((result.code, result.out) == (0, b"GET /page\n"), f"{words}, {place}: {result}")
        expect(len(queries) > before, f"{words}, {place}: nobody asked the name server")


@network_test("names are looked up where dns= says, and where DHCP does, unless the root knows better")
def _(network, tap):
    fixed = f",ip={tap.guest_address}/{tap.prefix_bits},gateway={tap.host_address}"
    configuration = DHCP_SERVER + "option dns {host}\n"
    with temporary_folder() as work, host_with_names(network, tap) as queries:
        expect_page(network, tap, queries, f"{fixed},dns={tap.host_address}")
        root = os.path.join(work, "root")
        os.makedirs(os.path.join(root, "etc"))
        for servers, expected in ((b"nameserver 127.0.0.53\n", b"nameserver %s\n" % tap.host_address.encode()),
                                  (b"nameserver 192.0.2.9\n", b"nameserver 192.0.2.9\n")):
            with open(os.path.join(root, "etc/resolv.conf"), "wb") as file:
                file.write(servers)
            subprocess.run(["cp", BUSYBOX, root], check=True)
            with dhcp_server(network, tap, work, configuration):
                command = network.command([SHOAL, "run", "--network", f"tap={tap.name},mac={tap.guest_mac}", "--root", root, "--",
                                           "/busybox", "cat", "/etc/resolv.conf"])
                said = subprocess.run(command, env=ENVIRONMENT, stdout=subprocess.PIPE, timeout=60, check=False).stdout
                expect(said == expected, f"{servers}: {said}")
        with dhcp_server(network, tap, work, configuration):
            expect_page(network, tap, queries, f",dns={tap.host_address},mac={tap.guest_mac}")  # one lease for both
