"""Post-copy: a guest runs at its destination while the last of its memory is still at the source."""
import itertools

from api import ApiVmm
from harness import TIME_SCALE, Failure, expect, temporary_folder, test
from migration_calls import NO_LOG, OVER, expect_one_sequence, kill, listen, move, read_all, \
    send_and_break, start_generations, wait_for_phase, wait_for_ticks
from migration_wire import Wire

LOST = 1       # the guest had run at the destination, and its memory is lost
DISCARDED = 165  # it never ran there


def wait_until_filled(vmm):
    """Until the API lets others do with the guest what they like."""
    wait_for_phase(vmm, "Running")
    while vmm.api.get("/migration")["remaining_pages"] > 0:
        pass


for vcpus, more in ((1, {}), (2, {"compression": "Zstd"})):
    @test(f"post-copy: ten times while the guest writes, its memory intact and no tick lost, {vcpus} vCPUs {more}")
    def _(vcpus=vcpus, more=more):
        with temporary_folder() as folder:
            vmm, said = ApiVmm(folder, *NO_LOG, socket_name="start"), b""
            try:
                start_generations(vmm, folder, mib=16, mb_per_s=200, vcpu_count=vcpus)
                for number in range(10):
                    other = ApiVmm(folder, *NO_LOG, socket_name=f"process{number}")
                    vmm, old = other, vmm
                    status = move(old, vmm, folder, name=f"wire{number}", post_copy=True, **more)
                    expect(status["rounds"] == 1 and status["remaining_pages"] == 0, f"{status}")
                    wait_until_filled(vmm)
                    wait_for_ticks(vmm, 3)
                    kill([old])
                    said += read_all(old)
                kill([vmm])
                expect(expect_one_sequence(said + read_all(vmm)) > 30, "ticks")
            finally:
                vmm.close()


@test("post-copy: while pages are missing, nothing else is done with the guest; several connections are refused")
def _():
    with (temporary_folder() as folder, ApiVmm(folder, *NO_LOG, socket_name="a") as one,
          ApiVmm(folder, *NO_LOG, socket_name="b") as two):
        start_generations(one, folder)
        one.api.expect_fault_with(["one connection for pages"], "PUT", "/migration/send",
                                  {"destination": f"unix:{folder}/wire", "post_copy": True, "connections": 2})
        status = move(one, two, folder, post_copy=True)
        expect(status["downtime_us"] > 0, f"{status}")
        wait_until_filled(two)
        two.api.patch("/vm", state="Paused")


def become_clear(source, destination, victim):
    """What became of the guest, once that is clear: "source", "destination", or "lost" or "discarded" there."""
    end = None
    if victim != "destination":
        try:
            if destination.api.get("/migration")["phase"] == "Waiting":
                destination.api.request("PUT", "/migration/cancel", "{}")  # it has not heard a word
        except OSError:
            pass
        while end is None and not (is_whole(destination) and destination.read_more(30)):
            end = destination.process.poll()
    there = "destination" if end is None and victim != "destination" else {LOST: "lost", DISCARDED: "discarded"}.get(end, "killed")
    if victim == "source":
        return there
    phase = wait_for_phase(source, *OVER)["phase"]
    if phase == "InDoubt":
        expect(there != "destination" or victim == "wire", "in doubt")
        source.api.put("/migration/resolve", guest_runs="Here" if there == "discarded" else "There")
        phase = "Resumed" if there == "discarded" else "HandedOver"
    expect((phase == "Resumed") <= (there in ("discarded", "killed")), f"the source is {phase}, the destination {there}")
    expect(phase == "Resumed" or there != "discarded", f"the guest runs nowhere: {phase}")
    return "source" if phase == "Resumed" else there


def is_whole(vmm):
    try:
        status = vmm.api.get("/migration")
    except OSError:
        return False
    return status["phase"] == "Running" and status["remaining_pages"] == 0


# What must have become of the guest when the wire is cut before or after the message crosses. A page that the guest
# waits for may still be on its way, over a connection of its own, when all others are there and `sync` says so.
BEFORE = (("hello", 0), ("join", 0), ("accept", 0), ("pages", 3), ("missing_pages", 0), ("sync", 0), ("synced", 0), ("state", 0),
          ("ready", 0))
EXPECTED = {("commit", 0, False): {"source"}, ("commit", 0, True): {"lost"}, ("taken", 0, False): {"lost"},
            ("taken", 0, True): {"lost"}, ("sync", 1, False): {"lost", "destination"}, ("sync", 1, True): {"lost", "destination"},
            ("synced", 1, False): {"destination"}, ("synced", 1, True): {"destination"},
            **{(*message, crosses): {"source"} for message in BEFORE for crosses in (False, True)},
            **{("want", 0, crosses): {"source", "lost"} for crosses in (False, True)}}


@test("post-copy: whoever dies and wherever the wire is cut, at most one side runs the guest, and none that has lost memory")
def _():
    for point, victim in itertools.product(EXPECTED, ("wire", "source", "destination")):
        try:
            break_at(point, victim, EXPECTED[point])
        except Failure as failure:
            raise Failure(f"{point}, {victim}: {failure}") from None


def break_at(point, victim, expected):
    with (temporary_folder() as folder, ApiVmm(folder, *NO_LOG, socket_name="a") as one,
          ApiVmm(folder, *NO_LOG, socket_name="b") as two):
        victims = {"source": [one], "destination": [two], "wire": []}[victim]
        with Wire(folder, *point, lambda: kill(victims)) as wire:
            start_generations(one, folder, mib=8, mb_per_s=200)
            listen(two, wire.back)
            send_and_break(one, wire.front, post_copy=True, after_hand_over="Stay")
            expect(wire.reached.wait(30 * TIME_SCALE), "the message never comes")
            outcome = become_clear(one, two, victim)
            if victim == "wire":
                expect(outcome in expected, f"it is {outcome}")
            if victim == "source" and expected == {"source"}:
                expect(outcome == "discarded", f"it is {outcome}")
            if outcome == "lost":
                errors = two.errors()
                expect("the rest of the guest's memory was at the source, and is lost" in errors, f"{errors!r}")
            runs = {"source": one, "destination": two}.get(outcome)
            if runs:
                wait_for_ticks(runs, runs.seen.count(b"tick") + 3)
            kill([one, two])
            expect_one_sequence(read_all(one) + read_all(two))
