"""Unmodified Linux programs give byte for byte what they give on the host."""
import hashlib
import os
import random
import re
import shutil

from harness import (BUSYBOX, PROGRAMS, Failure, expect, expect_same_as_host, run, shoal, shorten,
                     temporary_folder, test)


def noise(size):
    return random.Random(7).randbytes(size)


def numbered_lines(count):
    order = list(range(count))
    random.Random(7).shuffle(order)
    return "".join(f"line {number} of {count}\n" for number in order).encode()


@test("busybox echo")
def _():
    expect_same_as_host(BUSYBOX, "echo", "hello", "from a  microVM")


@test("busybox cat copies 10 MB of stdin")
def _():
    expect_same_as_host(BUSYBOX, "cat", stdin=noise(10_000_000))


@test("busybox cat of an empty stdin")
def _():
    expect_same_as_host(BUSYBOX, "cat")


@test("stdin can be /dev/null and a plain file")
def _():
    with open("/dev/null", "rb") as nothing:
        expect(shoal(BUSYBOX, "cat", stdin=nothing).out == b"", "bytes from nowhere")
    with open(__file__, "rb") as plain:
        expected = plain.read()
        plain.seek(0)
        result = shoal(BUSYBOX, "cat", stdin=plain)
        expect((result.code, result.out) == (0, expected), str(result))


@test("busybox sha256sum")
def _():
    data = noise(3_000_000)
    result = expect_same_as_host(BUSYBOX, "sha256sum", stdin=data)
    expect(hashlib.sha256(data).hexdigest().encode() in result.out, str(result))


@test("busybox sort")
def _():
    expect_same_as_host(BUSYBOX, "sort", stdin=numbered_lines(20_000))


@test("busybox awk")
def _():
    script = "{ sum += $2; words[$2 % 7]++ } END { for (i = 0; i < 7; i++) print i, words[i]; " \
             "printf \"%d %.6f\\n\", sum, sqrt(sum) }"
    expect_same_as_host(BUSYBOX, "awk", script, stdin=numbered_lines(5_000))


@test("busybox gzip and gunzip, a round trip by two runs")
def _():
    data = numbered_lines(50_000)
    packed = expect_same_as_host(BUSYBOX, "gzip", "-c", stdin=data)
    plain = expect_same_as_host(BUSYBOX, "gunzip", "-c", stdin=packed.out)
    expect(plain.out == data, f"not the same after the round trip: {shorten(plain.out)}")


@test("busybox vi --help")
def _():
    expect_same_as_host(BUSYBOX, "vi", "--help")


@test("busybox sh -c with builtins only")
def _():
    script = "i=0; while [ $i -lt 100 ]; do i=$((i + 1)); done; echo $i \"$0\" \"$@\"; " \
             "cd /; pwd; f() { printf '%05d|%s\\n' \"$1\" \"${2:-none}\"; }; f 42; f 7 x; " \
             "echo to stderr >&2; test -e /nothing || exit 3"
    expect_same_as_host(BUSYBOX, "sh", "-c", script, "zero", "one two", "three")


@test("exit codes come back")
def _():
    for code in (0, 1, 2, 77, 124, 125, 127, 128, 200, 255):
        expect_same_as_host(BUSYBOX, "sh", "-c", f"exit {code}")


@test("errors of a program are its own")
def _():
    expect_same_as_host(BUSYBOX, "cat", "/no/such/file")


@test("arguments of every kind arrive as they are")
def _():
    expect_same_as_host(BUSYBOX, "printf", "[%s]\\n", "", " ", '"quoted"', "a=b", "--", "-x",
                        "line\nend", "\u00e4\u2713", "\\", "$HOME", "'", "x" * 5000)


@test("--env sets variables, and no others come through")
def _():
    odd = 'two words, a "quote", a\nline end'
    expect_same_as_host(BUSYBOX, "env", options=["--env", "WORD=" + odd, "--env", "EMPTY="],
                        env={"WORD": odd, "EMPTY": ""})


@test("busybox ls -l of a --root")
def _():
    with temporary_folder() as root:
        make_tree(os.path.join(root, "tree"))
        # The names of owners come from these.
        os.mkdir(os.path.join(root, "etc"))
        for name in ("passwd", "group"):
            shutil.copyfile(f"/etc/{name}", os.path.join(root, "etc", name))
        for words in (("ls", "-l", "tree"), ("ls", "-lanR", "tree/folder")):
            inside = shoal(BUSYBOX, *words, options=["--root", root])
            outside = run([BUSYBOX, *words], cwd=root)
            same = without_folder_sizes(inside.out) == without_folder_sizes(outside.out)
            expect(same and inside.code == outside.code == 0 and inside.err == b"",
                   f"inside: {inside}; on the host: {outside}")


def without_folder_sizes(listing):
    """How large a folder is depends on the file system: the host's /tmp may be a tmpfs."""
    listing = re.sub(rb"^total \d+$", b"total", listing, flags=re.MULTILINE)
    return re.sub(rb"^(d\S+ +\d+ +\S+ +\S+) +\d+", rb"\1", listing, flags=re.MULTILINE)


@test("files of a --root have their bytes, whatever their size")
def _():
    with temporary_folder() as root:
        names = []
        for size in (0, 1, 3, 4095, 4096, 4097, 65536, 1_000_001):
            names.append(f"file-{size}")
            with open(os.path.join(root, names[-1]), "wb") as file:
                file.write(noise(size))
        expect_same_as_host(BUSYBOX, "sha256sum", *names, root=root)


@test("a program inside --root is used, through its links")
def _():
    with temporary_folder() as root:
        os.makedirs(os.path.join(root, "usr/bin"))
        os.symlink("usr/bin", os.path.join(root, "bin"))
        with open(PROGRAMS / "hello", "rb") as source:
            path = os.path.join(root, "usr/bin/only-here")
            with open(path, "wb") as file:
                file.write(source.read())
        os.chmod(path, 0o755)
        for name in ("/bin/only-here", "only-here"):
            result = shoal(name, options=["--root", root])
            expect((result.code, result.out, result.err) == (0, b"hello\n", b""), str(result))


def make_tree(root):
    os.makedirs(os.path.join(root, "folder/inner"))
    for name, size, mode in (("folder/data", 5000, 0o640), ("folder/inner/tool", 100, 0o755),
                             ("empty", 0, 0o600), ("notes.txt", 1234, 0o644)):
        path = os.path.join(root, name)
        with open(path, "wb") as file:
            file.write(noise(size))
        os.chmod(path, mode)
        os.utime(path, (1_600_000_000, 1_600_000_000))
    os.symlink("folder/data", os.path.join(root, "link"))
    for path in ("link", "folder/inner", "folder", "."):
        os.utime(os.path.join(root, path), (1_500_000_000, 1_500_000_000), follow_symlinks=False)


@test("a C program on musl")
def _():
    with temporary_folder() as work:
        expect_same_as_host(PROGRAMS / "files", "one", "two words", root=work,
                            options=["--env", "WORD=value"], env={"WORD": "value"})


@test("a C++ program: exceptions, iostream, locale, a million integers, thread-local")
def _():
    expect_same_as_host(PROGRAMS / "modern", stdin=b"the quick the lazy the end\n")


@test("more virtual CPUs do no harm")
def _():
    expect_same_as_host(BUSYBOX, "echo", "many", options=["--vcpus", "4"])


@test("64 MiB and 8 GiB of memory")
def _():
    for size in ("64", "8192"):
        expect_same_as_host(BUSYBOX, "echo", size, options=["--memory", size])


@test("a program that dereferences null ends with 139 and says where")
def _():
    result = shoal(PROGRAMS / "null")
    expect(result.code == 139 and result.out == b"before\n", str(result))
    text = result.err.decode(errors="replace")
    expect("0x0" in text and len(text.splitlines()) == 1, str(result))


@test("pipes, poll and select")
def _():
    for vcpus in (1, 2):
        expect_same_as_host(PROGRAMS / "pipes", options=["--vcpus", vcpus])


@test("eventfd, timerfd, signalfd and epoll")
def _():
    for vcpus in (1, 2):
        expect_same_as_host(PROGRAMS / "events", options=["--vcpus", vcpus])


@test("unix sockets: pairs, names, datagrams and passed descriptors")
def _():
    for vcpus in (1, 2):
        expect_same_as_host(PROGRAMS / "unix_sockets", options=["--vcpus", vcpus])


@test("--timing prints one line with five times that grow")
def _():
    result = shoal(PROGRAMS / "hello", options=["--timing"])
    expect(result.code == 0 and result.out == b"hello\n", str(result))
    lines = result.err.decode().splitlines()
    expect(len(lines) == 1, str(result))
    times = [int(word) for word in lines[0].replace(",", " ").split() if word.isdigit()]
    expect(len(times) == 5 and times == sorted(times), lines[0])


@test("--trace-syscalls names the calls on stderr")
def _():
    result = shoal(PROGRAMS / "hello", options=["--trace-syscalls"])
    expect(result.code == 0 and result.out == b"hello\n", str(result))
    expect(b"write" in result.err and b"exit" in result.err, str(result))


@test("hello in 128 MiB has under 1 MiB of guest memory resident")
def _():
    # A program that prints a line and goes on, while its microVM's memory is looked at.
    import subprocess
    from harness import ENVIRONMENT, SHOAL
    with subprocess.Popen([SHOAL, "run", "--memory", "128", "--", PROGRAMS / "spin"],
                          env=ENVIRONMENT, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE) as process:
        try:
            expect(process.stdout.readline() == b"spinning\n", "it did not say that it runs")
            resident = resident_guest_kib(process.pid)
        finally:
            process.kill()
            process.wait(timeout=10)
    if not resident < 1024:
        raise Failure(f"{resident} KiB are resident")


def resident_guest_kib(pid):
    """Resident pages of the mapping of the guest's RAM."""
    total, counted, found = 0, False, False
    with open(f"/proc/{pid}/smaps", encoding="utf-8") as maps:
        for line in maps:
            if "-" in line.split()[0]:
                counted = "memfd:shoal-guest-ram" in line
                found |= counted
            elif counted and line.startswith("Rss:"):
                total += int(line.split()[1])
    expect(found, "no mapping is the guest's memory")
    return total
