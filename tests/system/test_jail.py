"""What the threads of shoal-vmm may ask of the host: the filters that they have, and who breaks one."""
import ctypes
import os
import select
import struct
import subprocess

from api import ApiVmm
from harness import ENVIRONMENT, TIME_SCALE, VMM, expect, run, temporary_folder, test
from tiny_kernel import EXIT_0, IDLE, out_bytes, write_kernel

WORD = b"{speaks}"  # in no line of the log
SPEAKING = out_bytes(WORD) + IDLE


def status_of(path):
    with open(path, encoding="ascii") as file:
        return dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)


def filters_of(pid):
    """{name of a thread: its filters, besides those that the tests themselves run under}"""
    base = int(status_of("/proc/self/status")["Seccomp_filters"])
    tasks = [status_of(f"/proc/{pid}/task/{task}/status") for task in os.listdir(f"/proc/{pid}/task")]
    for task in tasks:
        filtered = int(task["Seccomp_filters"]) > base
        expect(task["NoNewPrivs"] == "1" or not filtered, f"{task['Name']} may gain privileges")
    # KVM's own threads are in the process, too, and make no system calls.
    ours = [task for task in tasks if not task["Name"].startswith("kvm-")]
    return {task["Name"]: int(task["Seccomp_filters"]) - base for task in ours}


def filter_file(path, **programs):
    """In Firecracker's form: lists of (code, if true, if false, operand)."""
    content = struct.pack("<Q", len(programs))
    for name, program in programs.items():
        content += struct.pack("<Q", len(name)) + name.encode() + struct.pack("<Q", len(program))
        content += b"".join(struct.pack("<HBBI", *instruction) for instruction in program)
    with open(path, "wb") as file:
        file.write(content)
    return path


def has_landlock():
    landlock_create_ruleset, ask_version = 444, 1
    return ctypes.CDLL(None).syscall(landlock_create_ruleset, None, 0, ask_version) > 0


LOAD_NUMBER, IF_EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, TRAP = 0x7FFF0000, 0x00030000


def all_but(number):
    return [(LOAD_NUMBER, 0, 0, 0), (IF_EQUAL, 0, 1, number), (RETURN, 0, 0, TRAP), (RETURN, 0, 0, ALLOW)]


@test("jail: every thread of a microVM with an API has its filters, and none with --no-seccomp")
def _():
    for options, main, vcpu in ((["--warm", "2,64"], 1, 2), (["--no-seccomp"], 0, 0)):
        with temporary_folder() as folder, ApiVmm(folder, *options) as vmm:
            expect(filters_of(vmm.process.pid) == {"shoal-vmm": main}, "before the start")
            vmm.api.put("/boot-source", kernel_image_path=write_kernel(folder, SPEAKING), boot_args="")
            vmm.api.put("/machine-config", vcpu_count=2, mem_size_mib=64)
            vmm.start()
            vmm.wait_for(WORD)
            threads = filters_of(vmm.process.pid)
            expect(threads == {"shoal-vmm": main, "vcpu0": vcpu, "vcpu1": vcpu}, str(threads))


@test("jail: every thread of a microVM of the command line has a filter, and none with --no-seccomp")
def _():
    for options, count in (([], 1), (["--no-seccomp"], 0)):
        with temporary_folder() as folder:
            words = [VMM, "--kernel", str(write_kernel(folder, SPEAKING)), "--console", "serial", *options]
            with subprocess.Popen(words, env=ENVIRONMENT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
                try:
                    ready, _, _ = select.select([process.stdout], [], [], 30 * TIME_SCALE)
                    expect(ready and os.read(process.stdout.fileno(), 1) == WORD[:1], "the guest says nothing")
                    threads = filters_of(process.pid)
                    expect(threads == {"shoal-vmm": count, "vcpu0": count}, str(threads))
                finally:
                    process.kill()


@test("jail: filters of --seccomp-filter are in force, and who breaks one ends the microVM with 148 and its number")
def _():
    openat = 257
    with temporary_folder() as folder:
        path = filter_file(os.path.join(folder, "filters"), vmm=all_but(openat), api=[], Vcpu=[])
        kernel = write_kernel(folder, EXIT_0)
        with ApiVmm(folder, "--seccomp-filter", path) as vmm:
            expect(filters_of(vmm.process.pid) == {"shoal-vmm": 1}, "other filters")
            try:
                vmm.api.put("/boot-source", kernel_image_path=kernel, boot_args="")
            except OSError:
                pass  # it ended in the middle of the request
            expect(vmm.wait_end() == 148, "the exit code")
            said = vmm.errors()
            expect(said.count("\n") == 1 and said.startswith("shoal-vmm: system call 257 is not allowed"), said)
        result = run([VMM, "--kernel", str(kernel), "--seccomp-filter", path])
        expect(result.code == 0, f"nothing is opened once it runs: {result}")
        for bad, piece in ((b"", "end too early"), (b"\0" * 8, "lack the one for vmm"), (b"\0" * 100_001, "100000")):
            with open(path, "wb") as file:
                file.write(bad)
            result = run([VMM, "--kernel", str(kernel), "--seccomp-filter", path])
            expect(result.code == 1 and result.err.count(b"\n") == 1 and piece.encode() in result.err, str(result))


@test("jail: with --allow, files elsewhere are refused, and a microVM with every device runs on what is there")
def _():
    with temporary_folder() as folder, temporary_folder() as elsewhere:
        if not has_landlock():
            print("        this kernel has no Landlock")
            return
        hidden = write_kernel(elsewhere, EXIT_0)
        kernel = write_kernel(folder, SPEAKING)
        disk = os.path.join(folder, "disk")
        with open(disk, "wb") as file:
            file.truncate(1 << 20)
        with ApiVmm(folder, "--allow", folder) as vmm:
            vmm.api.expect_fault_with(["Permission denied"], "PUT", "/boot-source", {"kernel_image_path": hidden})
            vmm.api.put("/boot-source", kernel_image_path=kernel, boot_args="")
            vmm.api.put("/drives/d", drive_id="d", path_on_host=disk, is_root_device=False, is_read_only=False)
            vmm.api.put("/vsock", guest_cid=3, uds_path=os.path.join(folder, "vsock"))
            vmm.api.put("/entropy")
            vmm.api.put("/balloon", amount_mib=0, deflate_on_oom=True)
            vmm.api.put("/metrics", metrics_path=os.path.join(folder, "metrics"))
            vmm.start()
            vmm.wait_for(WORD)
            vmm.api.patch("/vm", state="Paused")
            there, here = (os.path.join(place, "memory") for place in (elsewhere, folder))
            state = os.path.join(folder, "state")
            vmm.api.expect_fault_with(["Permission denied"], "PUT", "/snapshot/create",
                                      {"snapshot_path": state, "mem_file_path": there})
            vmm.api.put("/snapshot/create", snapshot_path=state, mem_file_path=here)
            expect(os.path.exists(here) and not os.path.exists(there), "the snapshot's place")
