"""Snapshots and clones: how long they take and what they cost, next to the least that KVM takes."""
import contextlib
import json
import os
import pathlib
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

from figures import BENCH, ROOT, Target, keep
from held_memory import FALL, STEADY, Held
from processes import RUNS, SHOAL, UNIKERNEL, call, save_initramfs, say, spawn, stop

sys.path.insert(0, str(ROOT / "tests/system"))
from api import ApiVmm  # noqa: E402
from snapshot_calls import names  # noqa: E402

TITLE = "Snapshots and clones"
CONDITIONS = "local /dev/kvm, 1 vCPU, files in $TMPDIR; load: from the call to its answer, when the guest runs; memory: the fall of " \
    "MemAvailable, once it is steady, with the free pages that CPUs keep; other processes disturb it"

FLOOR = str(BENCH / "programs/floor")
CLONED = str(BENCH / "programs/cloned")
# MiB of the microVM, and of those that its program has filled.
SIZES = {"128 MiB": (128, 96), "256 MiB": (256, 224), "1 GiB": (1024, 960), "4 GiB": (4096, 3840)}
SLOW = ("1 GiB", "4 GiB")
SLOW_TURNS = 3
TURNS = min(RUNS, 10)
CLONES = int(os.environ.get("CLONES", "1000" if RUNS >= 10 else "100"))
CLONE_TURNS = max(1, min(TURNS, 3000 // CLONES))  # 1,000 take 10 s to start and end, and as long to be there at once
CLONE = f"memory of a clone that has answered, {CLONES} at once"
BARE_VM = f"memory of a bare VM, {CLONES} in one process"


@contextlib.contextmanager
def folder():
    with tempfile.TemporaryDirectory(prefix="shoal-bench-") as name:
        yield pathlib.Path(name)


def load_body(place, **more):
    paths = names(place)
    return json.dumps({"snapshot_path": paths["snapshot_path"], "resume_vm": True,
                       "mem_backend": {"backend_type": "File", "backend_path": paths["mem_file_path"]}, **more})


def make_template(place, memory_mib, *words, options=()):
    subprocess.run([SHOAL, "snapshot", "--to", str(place), "--memory", str(memory_mib), *options, "--", CLONED, *words],
                   check=True)


def measure_load(samples, label, place, *options):
    """Until the guest runs, and until it has answered."""
    with folder() as own, ApiVmm(own, "--log-path", "/dev/null", *options) as vmm:
        started = time.monotonic()
        samples.add(f"load of {label}", call(vmm.socket_path, 1, "PUT", "/snapshot/load", load_body(place))[0])
        vmm.wait_for(b"answer\n")
        samples.add(f"load of {label} to the program's answer", (time.monotonic() - started) * 1e6)


def measure_reply(samples, label, place, *options):
    """From the load call to what the clone says over vsock."""
    with folder() as own, ApiVmm(own, "--log-path", "/dev/null", *options) as vmm, \
            socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as api, \
            socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        body = load_body(place, vsock_override={"uds_path": str(own / "vsock")})
        api.connect(str(vmm.socket_path))
        started = time.monotonic()
        api.sendall(f"PUT /snapshot/load HTTP/1.1\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
        if not api.recv(4096).startswith(b"HTTP/1.1 204 "):
            stop("the load was refused")
        client.connect(str(own / "vsock"))
        client.sendall(b"CONNECT 7\n")
        said = client.makefile("rb").read()
        samples.add(label, (time.monotonic() - started) * 1e6)
        if not said.endswith(b"answer\n"):
            stop(f"the clone said {said!r}")


def wait_ready(ready_fd):
    if os.read(ready_fd, 1) != b"\1":
        stop("the program was never ready")


def boot_filled(vmm, own, memory_mib, filled_mib):
    initramfs = own / "initramfs"
    shutil.copy(save_initramfs(CLONED, str(filled_mib)), initramfs)
    vmm.api.put("/machine-config", vcpu_count=1, mem_size_mib=memory_mib)
    vmm.api.put("/boot-source", kernel_image_path=UNIKERNEL, initrd_path=str(initramfs),
                boot_args=f"console=ttyS0 quiet rdinit={CLONED}")
    vmm.start()


def measure_create(samples, label, memory_mib, filled_mib):
    """The pause of a snapshot that is written behind the guest, and the whole copy; both of one guest."""
    ready, theirs = os.pipe()
    try:
        with folder() as own, ApiVmm(own, "--log-path", "/dev/null", "--ready-fd", str(theirs), pass_fds=(theirs,)) as vmm:
            boot_filled(vmm, own, memory_mib, filled_mib)
            wait_ready(ready)
            for kind in ("first", "second"):
                started = time.monotonic()
                vmm.api.put("/snapshot/create", resume_vm=True, **names(own))
                while (progress := vmm.api.get("/snapshot/create"))["state"] == "Writing":
                    time.sleep(0.001)
                if progress["state"] != "Done":
                    stop(f"a snapshot failed: {progress}")
                samples.add(f"pause, {label}, {kind} snapshot", progress["pause_us"])
                samples.add(f"behind the guest until Done, {label}, {kind} snapshot", (time.monotonic() - started) * 1e6)
            vmm.api.patch("/vm", state="Paused")
            samples.add(f"whole copy, {label}, paused", call(vmm.socket_path, 1, "PUT", "/snapshot/create",
                                                            json.dumps(names(own)))[0])
    finally:
        os.close(ready)
        os.close(theirs)


def measure_clones(samples, place, idle_place):
    took, _ = spawn([SHOAL, "clone", "--from", str(place), str(CLONES)])
    samples.add(f"{CLONES} clones, each from start to end", CLONES / took * 1e6, "1/s")
    samples.add("one clone, start to end", spawn([SHOAL, "clone", "--from", str(place), "1"])[0])
    measure_memory(samples, CLONE, [SHOAL, "clone", "--from", str(idle_place), str(CLONES)], CLONES)
    measure_memory(samples, BARE_VM, [FLOOR, str(CLONES)], 1)
    clone, floor = (samples.values[name + FALL][-1] for name in (CLONE, BARE_VM))
    if clone < floor:
        say(f"{CLONE} is {clone:.0f} KiB, less than the {floor:.0f} KiB of a VM that does nothing: it is not a measurement")


def measure_memory(samples, name, words, lines):
    """Of CLONES microVMs of this command, which are there when each of so many lines has come."""
    with Held(samples, name, CLONES) as held, \
            subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            for _ in range(lines):
                if not process.stdout.readline():
                    stop(f"{words[0]} ended early")
            held.all_are_there()
        finally:
            process.kill()


def measure_loads(samples, root):
    samples.add("floor", float(subprocess.run([FLOOR], stdout=subprocess.PIPE, check=True).stdout))
    measure_load(samples, "128 MiB, small program", root / "small")
    measure_load(samples, "128 MiB, small program, warm process", root / "small", "--warm")
    measure_load(samples, "128 MiB, small program, compressed", root / "small, compressed")
    measure_reply(samples, "load to the reply over vsock", root / "vsock")
    measure_reply(samples, "load to the reply over vsock, warm process", root / "vsock", "--warm")


def measure_sizes(samples, root, turn):
    for label, sizes in SIZES.items():
        if label not in SLOW or turn < SLOW_TURNS:
            measure_load(samples, label, root / label)
            measure_create(samples, label, *sizes)


def measure(samples):
    with folder() as root:
        for label, (memory_mib, filled_mib) in SIZES.items():
            make_template(root / label, memory_mib, str(filled_mib))
        make_template(root / "small", 128)
        make_template(root / "idle", 128, "0", "stay")
        make_template(root / "small, compressed", 128, options=["--compress"])
        make_template(root / "vsock", 128, "0", "vsock", options=["--vsock"])
        for what, turns, measure_turn in (
                ("loads", TURNS, lambda turn: measure_loads(samples, root)),
                (f"{CLONES} clones", CLONE_TURNS, lambda turn: measure_clones(samples, root / "small", root / "idle")),
                ("sizes", TURNS, lambda turn: measure_sizes(samples, root, turn))):
            for turn in range(turns):
                say(f"snapshots: {what}, turn {turn + 1} of {turns}")
                measure_turn(turn)
                keep("snapshots", CONDITIONS, samples, [])  # what there is, should somebody end it


def targets(samples):
    runs = samples.runs("floor")
    clones, floor_kib = samples.runs(CLONE + FALL), samples.median(BARE_VM + FALL)
    clone_kib = samples.median(CLONE + FALL)
    return [
        Target("load of 128 MiB from a fresh process, in floors",
               samples.median("load of 128 MiB, small program") / samples.median("floor"), "<=", 2, runs),
        Target("load of 128 MiB from a warm process, in ms",
               samples.median("load of 128 MiB, small program, warm process") / 1000, "<=", 1, runs),
        Target("load to the reply over vsock from a fresh process, in ms",
               samples.median("load to the reply over vsock") / 1000, "<=", 3, runs),
        Target("load to the reply over vsock from a warm process, in ms",
               samples.median("load to the reply over vsock, warm process") / 1000, "<=", 3, runs),
        Target("pause of 256 MiB, first snapshot behind the guest, in ms",
               samples.median("pause, 256 MiB, first snapshot") / 1000, "<=", 5, runs),
        Target(f"memory of a clone, {CLONES} at once, in MiB", clone_kib / 1024, "<=", 1.9, clones),
        Target("memory of a clone above a bare VM's, in MiB", (clone_kib - floor_kib) / 1024, "<=", 1, clones),
        Target("memory of a clone, in bare VMs (less is no measurement)", clone_kib / floor_kib, ">=", 1, clones),
        Target("MemAvailable was steady (else memory is no measurement), in %",
               statistics.mean(samples.values[STEADY]), ">=", 100, samples.runs(STEADY)),
    ]
