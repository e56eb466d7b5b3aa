"""The network that system tests have to themselves."""
from harness import expect, run, test
from netns import Network, expect_interface, need_network


def links_of_host():
    return run(["ip", "-brief", "link"]).out


@test("a network namespace has its TAPs, and the host's network has nothing of it", needs_kvm=False)
def _():
    need_network()
    before = links_of_host()
    with Network(taps=2, mtu=9000) as network:
        for tap in network.taps:
            expect_interface(network, tap)
        expect(links_of_host() == before, "the host has other interfaces now")
        # A socket of the namespace reaches an address that only the namespace has.
        listener = network.socket()
        listener.bind((network.taps[1].host_address, 0))
        listener.listen()
        with listener, network.socket() as client:
            client.settimeout(5)
            client.connect(listener.getsockname())
            with listener.accept()[0] as server:
                server.sendall(b"hello")
                expect(client.recv(5) == b"hello", "the bytes are lost")
    expect(links_of_host() == before, "something is left in the host's network")
