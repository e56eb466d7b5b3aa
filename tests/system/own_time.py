"""How long a process takes for an answer, without what the scheduler made it or its caller wait for a CPU.

On two busy CPUs that wait is what a caller sees: 39 ms once in 3,000 answers, of which the process had not 0.3 ms.
"""
import os
import time

NS_PER_MS = 1e6


def scheduled_ns(pid):
    """What the process's first thread has run, and has waited for a CPU (Documentation/scheduler/sched-stats.rst)."""
    with open(f"/proc/{pid}/task/{pid}/schedstat", encoding="utf-8") as file:
        ran, waited, _ = map(int, file.read().split())
    return ran, waited


class Answers:
    """Of a process whose first thread answers."""

    def __init__(self, pid):
        self.pid = pid
        self.took_ms = []
        self.own_ms = []  # the caller's CPU time is part of it
        self.ran_ms = []  # of the thread alone

    def time(self, ask):
        ran, waited = scheduled_ns(self.pid)
        _, we_waited = scheduled_ns(os.getpid())
        started = time.monotonic_ns()
        ask()
        took = time.monotonic_ns() - started
        ran_after, waited_after = scheduled_ns(self.pid)
        _, we_waited_after = scheduled_ns(os.getpid())
        self.took_ms.append(took / NS_PER_MS)
        self.own_ms.append((took - (waited_after - waited) - (we_waited_after - we_waited)) / NS_PER_MS)
        self.ran_ms.append((ran_after - ran) / NS_PER_MS)

    def __str__(self):
        return f"{len(self.took_ms)} answers, the slowest in {max(self.took_ms):.1f} ms, {max(self.own_ms):.1f} without waits " \
               f"for a CPU, of which it ran {max(self.ran_ms):.1f}"
