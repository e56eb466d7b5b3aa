"""Which network interfaces and CPUs programs are told of, as Debian's programs ask for them."""
from harness import SHOAL, expect, shoal, test
from test_dynamic import PYTHON, WITH_PYTHON
from test_sockets import network_test, options

INTERFACES = """
import fcntl, socket, struct
print(socket.if_nameindex(), socket.if_nametoindex("eth0"), socket.if_indextoname(1))
with socket.socket() as asking:
    def ask(call, name=b"eth0"):
        return fcntl.ioctl(asking, call, struct.pack("16s24x", name))
    print(socket.inet_ntoa(ask(0x8915)[20:24]), socket.inet_ntoa(ask(0x891B)[20:24]), ask(0x8927)[18:24].hex(":"))
    count, _ = struct.unpack("iP", fcntl.ioctl(asking, 0x8912, struct.pack("iP", 0, 0)))
    print(count // 40)
    try:
        ask(0x8915, b"eth7")
    except OSError as error:
        print(error.strerror)
"""


@network_test("programs see the interfaces and their addresses and routes, as ip, hostname and python ask for them")
def _(network, tap):
    def ask(*words, more=()):
        result = network.run([SHOAL, "run", *options(tap), *more, "--", *words])
        expect(result.code == 0 and result.err == b"", str(result))
        return result.out.decode()

    expect(ask("/usr/bin/hostname", "-I").split()[0] == tap.guest_address, "hostname -I")
    lines = ask("/usr/sbin/ip", "-4", "-o", "addr").splitlines()
    wanted = ("1: lo    inet 127.0.0.1/8 scope host lo", f"2: eth0    inet {tap.guest_address}/{tap.prefix_bits} scope")
    expect(len(lines) == 2 and all(line.startswith(start) for line, start in zip(lines, wanted)), str(lines))
    expect(f"link/ether {tap.guest_mac} " in ask("/usr/sbin/ip", "link", "show", "dev", "eth0"), "the hardware address")
    routes = ask("/usr/sbin/ip", "route").splitlines()
    network_address = tap.host_address.rsplit(".", 1)[0] + ".0"
    wanted = [f"default via {tap.host_address} dev eth0 ",
              f"{network_address}/{tap.prefix_bits} dev eth0 proto kernel scope link src {tap.guest_address} "]
    expect(routes == wanted, str(routes))
    said = ask(PYTHON, "-c", INTERFACES, more=[*WITH_PYTHON, "--memory", "256"])
    expect(said == f"[(1, 'lo'), (2, 'eth0')] 2 lo\n{tap.guest_address} 255.255.255.0 {tap.guest_mac}\n2\nNo such device\n", said)


@test("taskset chooses CPUs of the microVM, and is refused others")
def _():
    result = shoal("/usr/bin/taskset", "-c", "1", "/usr/bin/taskset", "-p", "1", options=["--vcpus", "2"])
    expect(result.code == 0 and b"current affinity mask: 2\n" in result.out, str(result))
    for cpus in ("1", "2"):
        result = shoal("/usr/bin/taskset", "-c", "2", "true", options=["--vcpus", cpus])
        expect(result.code == 1 and b"Invalid argument" in result.err, str(result))
