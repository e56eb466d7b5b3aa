"""redis and nginx under load on hardware KVM: in the unikernel, and in a Linux guest of the same VMM."""
import contextlib
import pathlib
import re
import subprocess
import time

from contenders import MEMORY_MIB, WORDS, cpio, initramfs
from api_guest import Guest
from figures import Target
from loads import load_nginx, load_redis
from netns import Network
from processes import RUNS, say
from servers import Place, environment, running, servers
from test_sockets import wait_for_port

TITLE = "Servers under load on hardware KVM, in the unikernel and in a Linux guest"
CONDITIONS = (f"nested hardware KVM, whose CPU is emulated: ratios only; 1 CPU, {MEMORY_MIB} MiB, a TAP with offloads each, shoal-vmm "
              "for both; Linux: Debian's cloud kernel, the programs and their libraries in its initramfs; redis-benchmark with 50 "
              "connections, wrk with 64; the server that has no turn is idle")

ROUNDS = min(RUNS, 5)
MOST_S = 100  # for the rounds of one server
REDIS_REQUESTS = 2_000
WRK_S = 5
AT_LEAST = 1.5  # as fast as Linux


def libraries(program):
    """What its dynamic linker loads, itself included."""
    said = subprocess.run(["ldd", program], env=environment(), stdout=subprocess.PIPE, check=True, text=True).stdout
    return set(re.findall(r"(/\S+) \(0x", said))


def with_servers(all_servers, folder):
    """The tests' initramfs with the programs at the host's places, what they load, and the folder."""
    paths = {"/etc/passwd", "/etc/group", *map(str, folder.iterdir())}
    for server in all_servers:
        paths |= {server.words[0], *libraries(server.words[0])}
    archive = cpio.Archive()
    archive.folder(*sorted({str(parent)[1:] for path in paths for parent in pathlib.Path(path).parents if parent.name}))
    for path in sorted(paths):
        archive.copy(path[1:], path)
    return initramfs() + archive.bytes()


@contextlib.contextmanager
def linux(contenders, network, tap, all_servers, folder):
    """A Linux guest on the TAP, ready for commands."""
    place = contenders.folder / "linux"  # other parts have a guest in the folder itself
    place.mkdir()
    (place / "initramfs").write_bytes(with_servers(all_servers, folder))
    with Guest(place, network.command) as guest:
        guest.api.put("/network-interfaces/net", iface_id="net", host_dev_name=tap.name, guest_mac=tap.guest_mac)
        guest.api.put("/machine-config", vcpu_count=1, mem_size_mib=MEMORY_MIB)
        guest.api.put("/boot-source", kernel_image_path=contenders.kernel("vmlinux"), boot_args=WORDS,
                      initrd_path=str(place / "initramfs"))
        guest.api.put("/actions", action_type="InstanceStart")
        guest.wait_ready()
        guest.run(f"ip addr add {tap.guest_address}/24 dev eth0; ip link set eth0 up; ip link set lo up")
        yield guest


@contextlib.contextmanager
def running_in(guest, network, address, server):
    """The server in the Linux guest, once it answers."""
    words = " ".join(word or "''" for word in server.words)
    guest.run(f"LD_LIBRARY_PATH={environment()['LD_LIBRARY_PATH']} {words} > /dev/null 2>&1 &")
    wait_for_port(network, address, server.port).close()
    try:
        yield
    finally:
        guest.run("kill $!")


def place_of(network, tap):
    options = ["--memory", str(MEMORY_MIB), "--network", f"tap={tap.name},ip={tap.guest_address}/24,mac={tap.guest_mac}"]
    return Place(tap.guest_address, network.namespace, options)


def compare(samples, network, places, load, name):
    started = time.monotonic()
    for turn in range(ROUNDS):
        if turn > 0 and time.monotonic() - started > MOST_S:
            break
        say(f"servers_nested: {name}, turn {turn + 1}")
        for place_name, place in places.items():
            load(samples, network, place_name, place)


def measure(samples, contenders):
    folder = contenders.folder / "served"
    folder.mkdir()
    all_servers = redis, nginx = servers(folder)
    with Network(taps=2) as network, linux(contenders, network, network.taps[0], all_servers, folder) as guest:
        places = {"shoal": place_of(network, network.taps[1]), "Linux": place_of(network, network.taps[0])}
        loads = ((redis, lambda *where: load_redis(*where, requests=REDIS_REQUESTS)),
                 (nginx, lambda *where: load_nginx(*where, seconds=WRK_S, files=("small",))))
        for server, load in loads:
            say(f"servers_nested: starts {server.name}")
            with running_in(guest, network, places["Linux"].address, server), running(network, places["shoal"], server):
                compare(samples, network, places, load, server.name)


def targets(samples):
    rows = []
    for name in [name.removesuffix(", shoal") for name, unit in samples.units.items()
                 if name.endswith(", shoal") and unit == "k/s"]:
        shoal, guest = f"{name}, shoal", f"{name}, Linux"
        rows.append(Target(f"{name}, unikernel to Linux guest", samples.median(shoal) / samples.median(guest), ">=", AT_LEAST,
                           samples.runs(shoal, guest)))
    return rows
