"""Threads, signals and processes: the same as on the host, with both C libraries."""
import os

from harness import BUSYBOX, PROGRAMS, expect, expect_same_as_host, run, shoal, temporary_folder, test


def both(name):
    for variant in (name, f"{name}-glibc"):
        yield PROGRAMS / variant


for vcpus in (1, 2):
    cpus = ["--vcpus", str(vcpus)]

    @test(f"threads: 100 of them, locks, a computing one, deadlines, robust mutexes, {vcpus} vCPUs")
    def _(cpus=cpus):
        for program in both("threads"):
            expect_same_as_host(program, options=cpus)

    @test(f"threads: signals, what they interrupt, and timers, {vcpus} vCPUs")
    def _(cpus=cpus):
        for program in both("signals"):
            expect_same_as_host(program, options=cpus)

    @test(f"system calls: futexes, interruptions, TCP streams, ids, limits, locks, CPU time as on Linux, {vcpus} vCPUs")
    def _(cpus=cpus):
        for program in both("linux_calls"):
            expect_same_as_host(program, "futexes", "interruptions", "streams", "ids", "cpu-time", "locks", "limits",
                                "overflow", options=cpus)

    @test(f"processes: fork, vfork, posix_spawn with pipes, wait, deaths by signal, {vcpus} vCPUs")
    def _(cpus=cpus):
        for program in both("processes"):
            expect_same_as_host(program, options=cpus)


for libc, variant in (("musl", "cpus"), ("glibc", "cpus-glibc")):
    @test(f"CPUs: {libc}: threads run at the same time, pages are closed on all of them, signals reach them")
    def _(variant=variant):
        # A host with one CPU, as in tests/nested, has another number of them, and nothing is parallel there.
        patience_ms, first = (30_000, 0) if os.cpu_count() > 1 else (100, 1)
        words = [PROGRAMS / variant, str(patience_ms)]
        inside, outside = shoal(*words, options=["--vcpus", "2"]), run(words, cwd="/")
        expect(inside.code == outside.code and
               inside.out.splitlines()[first:] == outside.out.splitlines()[first:], f"inside: {inside}; host: {outside}")
        expect(b"several" in inside.out.splitlines()[0], str(inside))


@test("threads: 1,000 of them at once, with stacks of 8 MiB")
def _():
    for program in both("many_threads"):
        expect_same_as_host(program, "1000", options=["--memory", "192"])


@test("vDSO: the time, as system calls tell it, to threads and processes, and without a system call")
def _():
    for program in both("vdso"):
        for vcpus in (1, 2):
            expect_same_as_host(program, options=["--vcpus", str(vcpus)])
        counted = shoal(program, "count", 100_000, options=["--trace-syscalls"])
        calls = counted.err.decode().splitlines()
        expect(counted.out == b"counted\n" and 0 < len(calls) < 50, f"{len(calls)} system calls: {counted}")


@test("processes: a shell starts programs, one after the other")
def _():
    script = "i=0; while [ $i -lt 30 ]; do /bin/busybox true || exit 1; i=$((i + 1)); done; " \
             "echo $i; sleep 0.01; x=$(echo a word); echo \"$x\""
    expect_same_as_host(BUSYBOX, "sh", "-c", script)


@test("processes: each has its folder in /proc, and its number in what it sends")
def _():
    script = "test -x /proc/$$/exe && echo exe; test $(readlink /proc/self) != $$ && echo another; " \
             "sh -c 'grep PPid /proc/$$/status' | tr -d '[:space:]' | grep -qx PPid:$$ && echo child; " \
             "sleep 100 & test $(cat /proc/$!/stat | cut -d' ' -f4) = $$ && echo parent; " \
             "test -e /proc/$! && kill $!; wait; test -e /proc/$! || echo gone; cat /proc/sys/kernel/pid_max"
    result = shoal(BUSYBOX, "sh", "-c", script)
    expect(result.out == b"exe\nanother\nchild\nparent\ngone\n32768\n", str(result))


@test("processes: shell pipelines, on 1 and 2 vCPUs")
def _():
    lines = "".join(f"word {number * 7919 % 13}\n" for number in range(5000)).encode()
    script = "cat - > f; cat f | sort | uniq -c; sort -r f | head -n 2; " \
             "yes | head -n 3; echo a b | while read x y; do echo $y; done; (sleep 0.02; echo late) | cat"
    for vcpus in ("1", "2"):
        with temporary_folder() as root:
            expect_same_as_host(BUSYBOX, "sh", "-c", script, stdin=lines, root=root, options=["--vcpus", vcpus])
