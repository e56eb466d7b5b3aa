"""The balloon of the unikernel: the host takes memory and gives it back, and the program takes what it needs."""
import time

from api import ApiVmm
from harness import TIME_SCALE, UNIKERNEL, expect, temporary_folder, test
from test_api_output import sample
from test_snapshots import NO_LOG, boot_counter, write_program

# The balloon is too much beside what the program takes. An emulated CPU (tests/nested) takes long for each MiB.
MEMORY_MIB, TAKEN_MIB, BALLOON_MIB = (256, 200, 160) if TIME_SCALE == 1 else (128, 72, 80)
PAGES_OF_MIB = 256


def wait_for_statistics(vmm, is_wanted, what):
    """They come once a second."""
    deadline = time.monotonic() + 30 * TIME_SCALE
    while not is_wanted(now := vmm.api.get("/balloon/statistics")):
        expect(time.monotonic() < deadline, f"{what}: {now}")
        time.sleep(0.05)
    return now


def wait_for_actual(vmm, is_wanted, what):
    return wait_for_statistics(vmm, lambda now: is_wanted(now["actual_pages"] // PAGES_OF_MIB), what)


def inflate(vmm, mib):
    """Once the driver is there."""
    deadline = time.monotonic() + 30 * TIME_SCALE
    while vmm.api.request("PATCH", "/balloon", {"amount_mib": mib})[0] != 204:
        expect(time.monotonic() < deadline, "the balloon never gets active")
        time.sleep(0.05)


@test("balloon: the host takes memory, the program takes back what it needs, and the rest returns")
def _():
    with temporary_folder() as folder, ApiVmm(folder, *NO_LOG) as vmm:
        vmm.api.put("/balloon", amount_mib=0, deflate_on_oom=True, stats_polling_interval_s=1, free_page_reporting=True)
        vmm.api.put("/machine-config", vcpu_count=1, mem_size_mib=MEMORY_MIB)
        vmm.api.put("/boot-source", kernel_image_path=UNIKERNEL, initrd_path=write_program(folder, "give_back"),
                    boot_args=f"console=ttyS0 quiet panic=1 rdinit=/init -- large {TAKEN_MIB}")
        vmm.start()
        for word in (b"taken", b"freed"):
            vmm.wait_for(word)
            if word == b"taken":
                vmm.process.stdin.write(b"\n")
                vmm.process.stdin.flush()
        inflate(vmm, BALLOON_MIB)
        full = wait_for_actual(vmm, lambda mib: mib == BALLOON_MIB, "the host gets its memory")
        expect(full["total_memory"] > full["free_memory"] > 0, str(full))
        vmm.process.stdin.write(b"\n")
        vmm.process.stdin.flush()
        vmm.wait_for(b"taken")
        left = wait_for_actual(vmm, lambda mib: mib < BALLOON_MIB, "the program takes memory back")
        expect(left["target_pages"] == BALLOON_MIB * PAGES_OF_MIB, str(left))
        inflate(vmm, 0)
        wait_for_actual(vmm, lambda mib: mib == 0, "all returns")


def reads_of_registers(vmm):
    return sample(vmm.api.request("GET", "/metrics")[1].decode(), "shoal_vcpu_exit_mmio_read")


@test("balloon: a program that wakes by its own timer looks at no register, until the host wants something")
def _():
    def wait_for_lines(count):
        for _ in range(count):
            vmm.wait_for(b"\n")

    with temporary_folder() as folder, ApiVmm(folder, *NO_LOG) as vmm:
        vmm.api.put("/balloon", amount_mib=0, deflate_on_oom=True)
        boot_counter(vmm, folder, "witness", "-- alive 100")
        inflate(vmm, 0)
        wait_for_lines(20)
        before = reads_of_registers(vmm)
        wait_for_lines(20)
        expect(reads_of_registers(vmm) == before, "reads while nobody wants anything")
        inflate(vmm, 16)
        deadline = time.monotonic() + 30 * TIME_SCALE
        while reads_of_registers(vmm) == before:
            expect(time.monotonic() < deadline, "the driver never looks what the host wants")
            time.sleep(0.05)
