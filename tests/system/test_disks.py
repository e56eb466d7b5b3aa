"""Disks: EROFS images as the root, with writes in memory on top, and raw ones."""
import array
import hashlib
import json
import os
import pathlib
import random
import shutil
import subprocess

from harness import (BUSYBOX, ENVIRONMENT, PROGRAMS, SHOAL, TIME_SCALE, UNIKERNEL, VMM, expect, expect_refused,
                     run, shoal, temporary_folder, test, vmm)

MIB = 1 << 20
# An emulated CPU (tests/nested) takes long to make and to read a large disk.
DISK_MIB, READS = (64, 300) if TIME_SCALE == 1 else (8, 60)


def make_tree(folder):
    """Busybox and a little more."""
    root = pathlib.Path(folder) / "root"
    (root / "bin").mkdir(parents=True)
    shutil.copy(BUSYBOX, root / "bin/busybox")
    return root


def make_image(root, *options):
    image = root.parent / "image.erofs"
    image.unlink(missing_ok=True)
    run(["mkfs.erofs", "--quiet", *options, image, root])
    expect(image.exists(), "mkfs.erofs made no image")
    return image


def in_image(image, *words, options=()):
    return shoal(*words, options=["--root", str(image), *options])


@test("a root image of 10,000 files and 100 MB reads as on the host, in 64 MiB of memory")
def _():
    with temporary_folder() as folder:
        root = make_tree(folder)
        big = random.Random(7).randbytes(100 * MIB)
        (root / "big").write_bytes(big)
        for outer in range(100):
            (root / f"tree/{outer}").mkdir(parents=True)
            for inner in range(100):
                file = root / f"tree/{outer}/file {inner}"
                file.write_text(f"{outer}, {inner}\n" * (inner + 1))
        image = make_image(root)
        small = ["--memory", "64"]
        result = in_image(image, "busybox", "sha256sum", "/big", options=small)
        expect(result.out.split()[:1] == [hashlib.sha256(big).hexdigest().encode()], str(result))
        found = in_image(image, "busybox", "find", "/tree", options=small)
        expected = run([BUSYBOX, "find", "tree"], cwd=root).out.replace(b"tree", b"/tree")
        expect(sorted(found.out.splitlines()) == sorted(expected.splitlines()), str(found))
        names = [f"tree/{n}/file {m}" for n in (0, 50, 99) for m in range(100)]
        sums = in_image(image, "busybox", "sha256sum", *names, options=small)
        expect(sums.out == run(["sha256sum", *names], cwd=root).out, str(sums))


def peak_memory_kib(words):
    """Of `shoal run`, which becomes the VMM: the guest's memory counts as far as it was touched."""
    process = subprocess.Popen([SHOAL, "run", *words], stdout=subprocess.DEVNULL, env=ENVIRONMENT)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    expect(process.returncode == 0, f"exit code {process.returncode} of {words}")
    return usage.ru_maxrss


@test("one file of a large image costs no memory for the rest of it")
def _():
    with temporary_folder() as folder:
        root = make_tree(folder)
        (root / "small").write_text("small\n")
        plain = ["--root", str(make_image(root)), "busybox", "cat", "/small"]
        without = peak_memory_kib(plain)
        for number in range(2000):
            (root / f"name {number}").write_bytes(bytes([number % 251]) * 50_000)
        make_image(root)
        with_rest = peak_memory_kib(plain)
        expect(with_rest < without + 1024, f"{with_rest} KiB, and {without} KiB without the rest")


@test("changes on top of an image are what they are on the host, and the image stays")
def _():
    with temporary_folder() as folder:
        root = make_tree(folder)
        shutil.copy(PROGRAMS / "overlay", root / "bin/overlay")
        for name in ("dir", "sub/deep", "empty", "large"):
            (root / name).mkdir(parents=True)
        for name in ("append", "cut", "gone", "kept"):
            (root / "dir" / name).write_text(f"the content of {name}")
        (root / "sub/deep/file").write_text("deep")
        (root / "linked").write_text("links")
        os.link(root / "linked", root / "dir/linked-too")
        (root / "mapped").write_text("m" * 4096 + "n" * 4000)
        for number in range(1500):
            (root / f"large/{number}").touch()
        image = make_image(root)
        before = image.read_bytes()
        inside = in_image(image, "/bin/overlay")
        outside = run([root / "bin/overlay"], cwd=root)
        for own in (b"  dev\n", b"  proc\n", b"  tmp\n"):
            inside.out = inside.out.replace(own, b"")
        expect((inside.code, inside.out) == (outside.code, outside.out),
               f"inside: {inside}; on the host: {outside}")
        expect(image.read_bytes() == before, "the image has changed")


@test("an image boots with and without an initramfs, and may be cut or no image at all")
def _():
    with temporary_folder() as folder:
        root = make_tree(folder)
        (root / "sh").symlink_to("/bin/busybox")
        image = make_image(root)
        alone = vmm("--root", image, "--console", "virtio", "--cmdline",
                    "rdinit=/bin/busybox -- echo alone")
        expect((alone.code, alone.out) == (0, b"alone\n"), str(alone))
        code = in_image(image, "/sh", "-c", "exit 7")
        expect((code.code, code.out, code.err) == (7, b"", b""), str(code))
        expect_refused(in_image(image, "none"), "no such program: none", program="shoal")
        whole = image.read_bytes()
        image.write_bytes(whole[: len(whole) // 8192 * 4096])
        expect_refused(in_image(image, "busybox", "true"), "cannot be mounted: it is truncated",
                       program="shoal")
        image.write_bytes(bytes(len(whole)))
        expect_refused(in_image(image, "busybox", "true"), "it is no EROFS image", program="shoal")


@test("a microVM of a configuration file has an image as root, and a seed from its entropy device")
def _():
    with temporary_folder() as folder:
        root = make_tree(folder)
        (root / "file").write_text("from the image\n")
        config = pathlib.Path(folder) / "config"
        metrics = pathlib.Path(folder) / "metrics"
        metrics.touch()
        config.write_text(json.dumps({
            "boot-source": {
                "kernel_image_path": UNIKERNEL,
                "boot_args": "console=ttyS0 rootfstype=erofs rdinit=/bin/busybox -- cat /file"},
            "drives": [{"drive_id": "root", "is_root_device": True, "is_read_only": True,
                        "path_on_host": str(make_image(root))}],
            "entropy": {}}))
        result = run([VMM, "--no-api", "--config-file", config, "--log-path", "/dev/null",
                      "--metrics-path", metrics])
        expect((result.code, result.out) == (0, b"from the image\n"), str(result))
        last = json.loads(metrics.read_text().splitlines()[-1])
        expect(last["entropy"]["entropy_bytes"] == 32, f"entropy: {last['entropy']}")


@test("a raw disk that was written and fsynced holds it on the host")
def _():
    with temporary_folder() as folder:
        disk = pathlib.Path(folder) / "disk"
        disk.write_bytes(bytes(5 * MIB))
        result = shoal(PROGRAMS / "disk", "/dev/vda", "42", options=["--disk", str(disk)])
        expect(result.out == b"5242880 bytes\nthe end: -1, No space left on device\n", str(result))
        expected = bytearray(5 * MIB)
        state = 42
        for at in range(1000, 1000 + 3 * MIB):
            state = (state * 1664525 + 1013904223) & 0xFFFFFFFF
            expected[at] = state >> 24
        expect(disk.read_bytes() == bytes(expected), "the disk holds something else")
        refused = shoal(PROGRAMS / "disk", "/dev/vda", "43", options=["--disk", f"{disk},ro"])
        expect(refused.out == b"open: Permission denied\n", str(refused))
        expect(disk.read_bytes() == bytes(expected), "a read-only disk was written")


@test("a write beyond the file size limit of the host is an I/O error in the guest, and the monitor lives")
def _():
    with temporary_folder() as folder:
        disk = pathlib.Path(folder) / "disk"
        disk.touch()
        os.truncate(disk, 96 * MIB)
        # The guest's memory is a file as well, and smaller than the limit.
        script = """write() { busybox dd if=/dev/zero of=/dev/vda bs=4096 seek=$1 count=1 conv=fsync,notrunc 2>&1; }
            write 20000; write 10; echo lives"""
        words = ["prlimit", f"--fsize={64 * MIB}", SHOAL, "run", "--memory", "64", "--disk", disk, "--with", BUSYBOX,
                 "--", BUSYBOX, "sh", "-c", script]
        result = run(words, env=ENVIRONMENT)
        expect(result.code == 0 and result.out.count(b"Input/output error") == 1 and result.out.endswith(b"lives\n"), str(result))
        expect(disk.stat().st_blocks == 8, f"{disk.stat().st_blocks} blocks of the disk are written")


@test("a disk or image that is not there is one sentence")
def _():
    hello = PROGRAMS / "hello"
    expect_refused(shoal(hello, options=["--root", "/none"]), "--root: cannot open /none",
                   program="shoal")
    expect_refused(vmm("--disk", "/none"), "/none")


@test("threads go on while one of them waits for a slow disk, by read(2) or by a page fault")
def _():
    with temporary_folder() as folder:
        root = make_tree(folder)
        shutil.copy(PROGRAMS / "disk_wait", root / "bin/disk_wait")
        data = random.Random(3).randbytes(MIB)
        (root / "data").write_bytes(data)
        disk = pathlib.Path(folder) / "disk"
        disk.write_bytes(data)
        image = str(make_image(root))
        for kind, path in (("read", "/dev/vdb"), ("read", "/data"), ("map", "/data")):
            slow = {"rate_limiter": {"bandwidth": {"size": 64 << 10, "refill_time": 50}}}
            config = pathlib.Path(folder) / "config"
            config.write_text(json.dumps({
                "boot-source": {
                    "kernel_image_path": UNIKERNEL,
                    "boot_args": f"console=ttyS0 rootfstype=erofs rdinit=/bin/disk_wait -- {kind} {path}"},
                "drives": [{"drive_id": "root", "is_root_device": True, "is_read_only": True,
                            "path_on_host": image, **slow},
                           {"drive_id": "raw", "is_root_device": False, "path_on_host": str(disk), **slow}]}))
            result = run([VMM, "--no-api", "--config-file", config, "--log-path", "/dev/null"])
            expect(f"sum {sum(data)}, slow 1, counted on 1\n".encode() in result.out, f"{kind} {path}: {result}")


@test("threads that read a disk at once all get what they asked for")
def _():
    with temporary_folder() as folder:
        root = make_tree(folder)
        shutil.copy(PROGRAMS / "disk_threads", root / "bin/disk_threads")
        with open(root / "data", "wb") as data:
            array.array("Q", range(0, DISK_MIB * MIB, 8)).tofile(data)
        image = make_image(root)
        for vcpus in (1, 2):
            for disk, path in ((), "/data"), (("--disk", str(root / "data")), "/dev/vdb"):
                result = in_image(image, "/bin/disk_threads", path, str(READS), options=["--vcpus", str(vcpus), *disk])
                expect(result.out == b"%d of %d reads are right\n" % (6 * READS, 6 * READS), f"{path}, {vcpus} vCPUs: {result}")


@test("a program of an image is found by its PATH and starts in its folder, by a path of its own, too")
def _():
    with temporary_folder() as folder:
        root = make_tree(folder)
        (root / "opt/app").mkdir(parents=True)
        (root / "opt/app/where").write_text("#!/bin/busybox sh\necho $PWD $0 $(/bin/busybox pwd)\n")
        (root / "opt/app/where").chmod(0o755)
        image = make_image(root)
        by_name = in_image(image, "where", options=["--env", "PATH=/none:/opt/app"])
        expect((by_name.code, by_name.out) == (0, b"/ /opt/app/where /\n"), str(by_name))
        for word in ("./where", "/opt/app/where"):
            there = in_image(image, word, options=["--workdir", "/opt/app"])
            expect((there.code, there.out.split()[::2]) == (0, [b"/opt/app"] * 2), str(there))
        for path in ("/none", "/bin/busybox"):
            expect_refused(in_image(image, "busybox", "pwd", options=["--workdir", path]),
                           f"there is no folder to start in: {path}", program="shoal")
        expect_refused(in_image(image, "busybox", options=["--workdir", "opt"]), "does not begin with /", program="shoal")
        expect_refused(in_image(image, "where"), "no such program: where", program="shoal")
        plain = shoal(BUSYBOX, "pwd", options=["--workdir", "/tmp"])
        expect((plain.code, plain.out) == (0, b"/tmp\n"), str(plain))
