"""What the API and the memory of shoal-vmm look like while a Linux guest hammers its devices."""
import subprocess

from contenders import PORT
from figures import BENCH, Target
from processes import call, is_shoal_ram, is_shoal_ram_or_program, private_kib, say

TITLE = "A busy Linux guest"
CONDITIONS = ("nested hardware KVM, 1 CPU, transparent huge pages; the guest writes 4 KiB blocks at depth 32, sends and receives TCP at once; "
              "GET / every 20 ms, and beside it the same from a server that does nothing, which tells what the machine adds; memory with disk, NIC, vsock, balloon, guest excluded, after the load")

CALLS = 25  # at a time
TURNS = 16
PAUSE_US = 20_000
LOAD_S = 60  # it is ended when the calls are done
API = "GET /"
FLOOR = "a server that does nothing"
MEMORY = "private memory, Linux, all devices, alone"
MEMORY_OWN = "the same without the program's file"


def ask(samples, sockets, state):
    for _ in range(TURNS):
        for name, path in sockets.items():
            for took in call(path, CALLS, "GET", "/", pause_us=PAUSE_US):
                samples.add(f"{name}, guest {state}", took)


def measure(samples, contenders):
    guest = contenders.boot()["shoal"]
    sockets = {API: guest.socket_path, FLOOR: contenders.folder / "floor.socket"}
    host = contenders.network.taps[0].host_address
    with subprocess.Popen([BENCH / "programs/answer", sockets[FLOOR]], stdout=subprocess.PIPE) as floor:
        try:
            floor.stdout.readline()
            ask(samples, sockets, "idle")
            say("busy: loads the guest")
            guest.run(f"disk /dev/vda write random 4096 32 {LOAD_S} > /dev/null 2>&1 & "
                      f"net send {host} {PORT} {LOAD_S} > /dev/null 2>&1 & "
                      f"net receive {host} {PORT} {LOAD_S} > /dev/null 2>&1 & sleep 1")
            ask(samples, sockets, "busy")
            guest.run("killall disk net; wait")
        finally:
            floor.kill()
    samples.add(MEMORY, private_kib(guest.process.pid, is_shoal_ram), "KiB")
    samples.add(MEMORY_OWN, private_kib(guest.process.pid, is_shoal_ram_or_program), "KiB")


def targets(samples):
    busy = f"{API}, guest busy"
    return [Target("slowest answer of the API, guest busy, in ms", max(samples.values[busy]) / 1000, "<=", 10,
                   samples.runs(busy)),
            *(Target(f"{name}, in MiB", samples.median(name) / 1024, "<=", 3, samples.runs(name))
              for name in (MEMORY, MEMORY_OWN))]
