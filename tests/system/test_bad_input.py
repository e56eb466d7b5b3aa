"""Bad input ends in one sentence that names the file and the number, and leaves nothing behind."""
import os

from harness import (BUSYBOX, SHOAL, UNIKERNEL, VMM, expect, expect_refused, run, shoal, temporary_folder,
                     test, vmm)
from tiny_kernel import KERNEL_AT, elf

def expect_shoal_refused(result, code, *pieces):
    expect_refused(result, *pieces, program="shoal")
    expect(result.code == code, f"not exit code {code}: {result}")


def refuse_kernel(contents, *pieces, memory="16"):
    with temporary_folder() as folder:
        path = os.path.join(folder, "kernel-under-test")
        with open(path, "wb") as file:
            file.write(contents)
        expect_refused(vmm("--kernel", path, "--memory", memory), path, *pieces)


@test("memory of 0 MiB is refused")
def _():
    expect_refused(vmm("--memory", "0"), "0")


@test("more memory than the host has is refused")
def _():
    expect_refused(vmm("--memory", str(1 << 30)), str(1 << 30))
    expect_refused(vmm("--memory", str(1 << 60)), str(1 << 60))


@test("0 and 33 virtual CPUs are refused")
def _():
    expect_refused(vmm("--vcpus", "0"), "0", "32")
    expect_refused(vmm("--vcpus", "33"), "33", "32")


@test("options that are no numbers and options that do not exist are refused")
def _():
    for words in (["--memory", "many"], ["--memory", "-1"], ["--memory", "64x"], ["--vcpus", "two"],
                  ["--timeout", "soon"], ["--no-such-option"]):
        expect_refused(vmm(*words), words[-1].lstrip("-"))


@test("a kernel that is missing, a directory, or empty is refused")
def _():
    expect_refused(vmm("--kernel", "/no/such/kernel"), "/no/such/kernel")
    expect_refused(vmm("--kernel", "/usr"), "/usr")
    refuse_kernel(b"", "0")


@test("a kernel that is truncated anywhere is refused")
def _():
    whole = elf([(KERNEL_AT, 256, 256)])
    for size in (3, 63, 64, 100, 170, len(whole) - 1):
        refuse_kernel(whole[:size])


@test("a kernel that is no ELF file is refused")
def _():
    refuse_kernel(b"#!/bin/sh\n" + b"x" * 5000)
    refuse_kernel(b"\0" * 5000)


@test("a kernel for 32 bits or another machine is refused")
def _():
    refuse_kernel(elf([(KERNEL_AT, 256, 256)], elf_class=1), "32")
    refuse_kernel(elf([(KERNEL_AT, 256, 256)], machine=183), "183")


@test("segments of a kernel that overlap are refused")
def _():
    refuse_kernel(elf([(KERNEL_AT, 256, 8192), (KERNEL_AT + 4096, 256, 4096)]), "overlap")


@test("segments of a kernel that wrap are refused")
def _():
    refuse_kernel(elf([(KERNEL_AT, 256, 256), (2**64 - 4096, 256, 8192)]), "0xfffffffffffff000")
    refuse_kernel(elf([(KERNEL_AT, 256, 256, 2**64 - 128)]))
    refuse_kernel(elf([(KERNEL_AT, 2**64 - 1, 2**64 - 1)]))


@test("segments of a kernel outside RAM are refused")
def _():
    refuse_kernel(elf([(64 << 20, 256, 256)]), "0x4000000")
    refuse_kernel(elf([(KERNEL_AT, 256, 1 << 30)]), "0x100000")
    refuse_kernel(elf([(0xC000_0000, 256, 256)]), "0xc0000000", memory="4096")


@test("an initrd that is missing or does not fit is refused")
def _():
    expect_refused(vmm("--initrd", "/no/such/initrd"), "/no/such/initrd")
    with temporary_folder() as folder:
        path = os.path.join(folder, "initrd-under-test")
        with open(path, "wb") as file:
            file.truncate(40 << 20)
        expect_refused(vmm("--initrd", path, "--memory", "32"), path, 40 << 20)


@test("a command line that is too long is refused")
def _():
    expect_refused(vmm("--cmdline", "x" * 5000), "2047")


@test("a host without /dev/kvm is told so")
def _():
    inside = 'mount -t tmpfs none /dev && exec "$@"'
    result = run(["unshare", "--map-root-user", "--mount", "sh", "-c", inside, "sh", VMM, "--kernel",
                  UNIKERNEL])
    expect_refused(result, "/dev/kvm")


@test("a user without permission for /dev/kvm is told so")
def _():
    # In a user namespace of its own, root is nobody to the host's device file.
    inside = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", VMM, "--kernel", UNIKERNEL]
    result = run(inside if os.getuid() == 0 else ["unshare", "--map-root-user", *inside])
    expect_refused(result, "/dev/kvm", "ermission")


@test("shoal run: programs that are missing end with 127", needs_kvm=False)
def _():
    expect_shoal_refused(shoal("no-such-program"), 127, "no-such-program")
    expect_shoal_refused(shoal("/no/such/program"), 127, "/no/such/program")


@test("shoal run: files that are no programs end with 126", needs_kvm=False)
def _():
    with temporary_folder() as folder:
        for name, mode, contents in (("plain", 0o644, b"\x7fELF"), ("script", 0o755, b"#! \n"),
                                     ("lost", 0o755, b"#!/no/such/interpreter\n"),
                                     ("empty", 0o755, b""), ("short", 0o755, b"\x7fELF\2\1\1"),
                                     ("text", 0o755, b"hello" * 100),
                                     ("arm", 0o755, elf([(KERNEL_AT, 1, 1)], machine=183)),
                                     ("old", 0o755, elf([(KERNEL_AT, 1, 1)], elf_class=1)),
                                     ("cut", 0o755, elf([(KERNEL_AT, 1, 1)])[:100])):
            path = os.path.join(folder, name)
            with open(path, "wb") as file:
                file.write(contents)
            os.chmod(path, mode)
            expect_shoal_refused(shoal(path), 126, path)
    expect_shoal_refused(shoal("/usr"), 126, "/usr")


@test("shoal run: wrong options end with 125", needs_kvm=False)
def _():
    for words, piece in ((["--memory", "0"], "0"), (["--memory", "some"], "some"),
                         (["--env", "novalue"], "novalue"), (["--nothing"], "--nothing"),
                         (["--timeout", "-1"], "-1"), (["--root", "/no/such/folder"], "/no/such/folder"),
                         (["--memory", "1"], "1048576")):
        expect_shoal_refused(run([SHOAL, "run", *words, BUSYBOX]), 125, piece)
    expect_shoal_refused(run([SHOAL, "run"]), 125, "PROGRAM")
    expect_shoal_refused(run([SHOAL, "fly"]), 125, "fly")
