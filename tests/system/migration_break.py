"""A migration that breaks at a message of one's choice, and who runs the guest then."""
import signal
import time

from api import ApiVmm
from harness import TIME_SCALE, expect
from migration_calls import NO_LOG, OVER, kill, listen, read_all, send_and_break, wait_for_phase, wait_for_ticks
from migration_wire import Wire

HANDED_OVER = 164  # the exit code


def runs_at(destination):
    """Whether the guest runs there: it says so, or ends."""
    deadline = time.monotonic() + 30 * TIME_SCALE
    while destination.process.poll() is None:
        try:
            phase = destination.api.get("/migration")["phase"]
            if phase == "Waiting":
                destination.api.request("PUT", "/migration/cancel", "{}")  # it has not heard a word
        except OSError:
            continue  # it is about to end
        if phase == "Running":
            return True
        expect(time.monotonic() < deadline, f"the destination stays in {phase}")
        time.sleep(0.001)
    return False


def settle(source, destination, was_given):
    """Where the guest runs when all is over: at the source, at the destination. In doubt the source is told; a
    destination that died after it was given the guest may have run it. None: whoever cut the wire could not see that."""
    there = runs_at(destination)
    if source.process.poll() is not None:
        return False, there
    try:
        phase = wait_for_phase(source, *OVER)["phase"]
        if phase == "InDoubt":
            if was_given is None:
                was_given = there or destination.process.poll() == -signal.SIGKILL
            source.api.put("/migration/resolve", guest_runs="There" if was_given else "Here")
            phase = "HandedOver" if was_given else "Resumed"
    except OSError:
        phase = "HandedOver"
    if phase == "HandedOver":
        expect(source.wait_end() == 164, "the exit code after the hand-over")
    return phase == "Resumed", there


def wait_until_broken(wire, source, is_certain):
    """False if the message never came: the source has handed its guest over."""
    deadline = time.monotonic() + 30 * TIME_SCALE
    while not wire.reached.wait(0.01):
        if not is_certain and source.process.poll() == HANDED_OVER and not wire.has_come:
            return False
        expect(time.monotonic() < deadline, "the message never comes")
    return True


def break_at(point, folder, start, place=None, is_certain=True, **more):
    """One migration that is broken at a point; all that the guest said, and where it runs then. `start` starts it;
    `place` is what the destination is told, `more` what the source is told. Without is_certain it may go through, when so
    many messages do not come."""
    kind, count_of_kind, share, victim = point
    with ApiVmm(folder, *NO_LOG, socket_name="a") as source, ApiVmm(folder, *NO_LOG, socket_name="b") as destination:
        victims = {"source": [source], "destination": [destination], "wire": []}[victim]
        with Wire(folder, kind, count_of_kind, share, lambda: kill(victims)) as wire:
            start(source)
            listen(destination, wire.back, **(place or {}))
            send_and_break(source, wire.front, max_downtime_ms=1000, **more)
            was_given = kind == "taken" or (kind == "commit" and share == 1)
            if not wait_until_broken(wire, source, is_certain):
                was_given, victim = True, "nobody"
            elif kind.startswith("record"):
                was_given = None
            here, there = settle(source, destination, was_given)
            expect(not (here and there), "it runs on both sides")
            may_be_gone = {None: ("source", "destination"), True: ("destination",), False: ("source",)}[was_given]
            expect(here or there or victim in may_be_gone, "it runs on neither side")
            for runs, vmm in ((here, source), (there, destination)):
                if runs:
                    wait_for_ticks(vmm, vmm.seen.count(b"tick") + 3)
            kill([source, destination])
            return read_all(source) + read_all(destination), "source" if here else "destination" if there else "nowhere"
