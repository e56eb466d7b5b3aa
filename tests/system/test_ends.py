"""The ways a microVM ends, besides the program's own exit."""
import os
import shutil
import signal
import subprocess
import time

from harness import (BUSYBOX, ENVIRONMENT, PROGRAMS, ROOT, SHOAL, TIME_SCALE, UNIKERNEL, Result, skip,
                     expect, run, shoal, temporary_folder, test)

SPIN = str(PROGRAMS / "spin")


@test("--timeout ends a program that never does")
def _():
    started = time.monotonic()
    result = shoal(SPIN, options=["--timeout", "1"])
    took = time.monotonic() - started
    lines = result.err.decode(errors="replace").splitlines()
    expect(result.code not in (0, 125) and result.out == b"spinning\n", str(result))
    expect(len(lines) == 1 and "1" in lines[0] and "time" in lines[0], str(result))
    expect(0.9 < took < 10 * TIME_SCALE, f"it took {took:.1f} s")


@test("SIGTERM ends a microVM with a sentence")
def _():
    result = end_by(signal.SIGTERM)
    lines = result.err.decode(errors="replace").splitlines()
    expect(result.code == 128 + signal.SIGTERM, str(result))
    expect(len(lines) == 1 and "SIGTERM" in lines[0], str(result))


@test("SIGINT and SIGKILL end a microVM")
def _():
    for number in (signal.SIGINT, signal.SIGKILL):
        result = end_by(number)
        expect(result.code == 128 + number, str(result))


@test("signals that are the end of the monitor have a sentence and an exit code each")
def _():
    for number, code in ((signal.SIGSYS, 148), (signal.SIGBUS, 149), (signal.SIGSEGV, 150), (signal.SIGXCPU, 154),
                         (signal.SIGILL, 157)):
        result = end_by(number)
        expect(result.code == code, str(result))
        expect(result.err == f"shoal-vmm: ended by {number.name} from process {os.getpid()}\n".encode(), str(result))


def end_by(number):
    with subprocess.Popen([SHOAL, "run", "--", SPIN], env=ENVIRONMENT, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            expect(process.stdout.readline() == b"spinning\n", "it did not start to spin")
            process.send_signal(number)
            out, err = process.communicate(timeout=10 * TIME_SCALE)
        finally:
            process.kill()
    return Result(process.returncode, out, err)


@test("a closed stdout does not hang the microVM")
def _():
    with subprocess.Popen([SHOAL, "run", "--", BUSYBOX, "cat", "/bin/busybox"], env=ENVIRONMENT,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL) as process:
        process.stdout.close()
        try:
            process.wait(timeout=20 * TIME_SCALE)
        except subprocess.TimeoutExpired:
            process.kill()
            expect(False, "it hangs")


@test("the unikernel runs under QEMU's microvm machine too")
def _():
    if shutil.which("qemu-system-x86_64") is None:
        skip("qemu-system-x86_64 is not installed")
    with temporary_folder() as folder:
        initramfs = os.path.join(folder, "initramfs")
        words = [PROGRAMS / "hello"]
        env = {**ENVIRONMENT, "SHOAL_VMM": str(ROOT / "tests/system/save-initramfs"),
               "INITRAMFS": initramfs}
        saved = shoal(*words, env=env)
        expect(saved.code == 0 and os.path.getsize(initramfs) > 0, str(saved))
        result = run(["qemu-system-x86_64", "-M", "microvm,rtc=on", "-accel", "kvm", "-cpu", "host,-arch-capabilities", "-m", "128",
                      "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-serial", "stdio",
                      "-device", "isa-debug-exit,iobase=0x501,iosize=4", "-kernel", UNIKERNEL,
                      "-initrd", initramfs, "-append", f"console=ttyS0 quiet rdinit={words[0]}"],
                     stdin=subprocess.DEVNULL)
        # isa-debug-exit makes 2 * code + 1 of the code.
        expect(result.code == 1 and result.out.replace(b"\r", b"") == b"hello\n", str(result))
