"""An idle microVM sleeps: its vCPU is counted by how often it went to sleep again, as the host's scheduler says."""
import os
import pathlib

from harness import expect, temporary_folder
from test_servers import NGINX, NGINX_CONFIG, client_of, get, server
from test_sockets import network_test

# nginx closes a connection that has been silent for so long; nothing else happens until then.
SILENT_S = 16
# Neighbours are looked after once a second for a while, and what is left of the start is done. TCP's
# timer alone would be four a second.
WAKES_A_SECOND = 3


def sleeps(pid):
    """How often the process's vCPU has gone to sleep."""
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        if (task / "comm").read_text(encoding="ascii") == "vcpu0\n":
            status = (task / "status").read_text(encoding="ascii")
            return int(status.split("\nvoluntary_ctxt_switches:")[1].split()[0])
    raise AssertionError("no vCPU")


@network_test("a server with an open connection sleeps until it closes it, also if it watches over its peer")
def _(network, tap):
    with temporary_folder() as folder:
        with open(os.path.join(folder, "small"), "wb") as file:
            file.write(b"a small file\n")
        config = os.path.join(folder, "nginx.conf")
        with open(config, "w", encoding="ascii") as file:
            file.write(NGINX_CONFIG.format(root=folder).replace(
                "backlog=1024;", f"so_keepalive=on; keepalive_timeout {SILENT_S}s;"))
        with server(network, tap, 80, ["--with", folder], NGINX, "-p", "/tmp", "-c", config) as process:
            client = client_of(network, tap)
            expect(get(client, "/small") == b"a small file\n", "the small file")
            before = sleeps(process.pid)
            expect(client.sock.recv(1) == b"", "nginx closes the connection")
            count = sleeps(process.pid) - before
            expect(count <= WAKES_A_SECOND * SILENT_S, f"the vCPU slept {count} times in {SILENT_S} s of silence")
