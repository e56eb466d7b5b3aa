"""Live migration: a TCP connection of the guest's survives it."""
import itertools

from api import ApiVmm
from harness import temporary_folder, test
from migration_calls import NO_LOG, kill, move, on_tap, start_generations, wait_for_ticks
from netns import Network, need_network
from stream_calls import Peer


@test("migration: a TCP connection goes on through ten moves from TAP to TAP, no byte lost or doubled")
def _():
    need_network()
    with temporary_folder() as folder, Network(taps=2, bridged=True) as network:
        vmm = ApiVmm(folder, *NO_LOG, command=network.command, socket_name="start")
        try:
            start_generations(vmm, folder, mb_per_s=20, tap=network.taps[0])
            with Peer(network, network.taps[0]) as peer:
                for number, tap in zip(range(10), itertools.cycle(reversed(network.taps))):
                    peer.wait_for_more(20)
                    other = ApiVmm(folder, *NO_LOG, command=network.command, socket_name=f"process{number}")
                    try:
                        move(vmm, other, folder, place=on_tap(tap))
                    except BaseException:
                        other.close()
                        raise
                    kill([vmm])
                    vmm.close()
                    vmm = other
                    wait_for_ticks(vmm, 3)
                peer.wait_for_more(20)
        finally:
            vmm.close()
