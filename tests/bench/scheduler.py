"""Decisions of the scheduler: placements per second as hosts grow, and how densely they pack."""
import json
import subprocess

from figures import BENCH, Target
from processes import RUNS, say

TITLE = "Scheduler"
CONDITIONS = ("CPU time of one thread; batches of 1,000 microVMs of 128 MiB to 8 GiB and 1 to 8 CPUs "
              "(10 for each of few hosts) on hosts of 256 GiB and 256 CPUs in 3 zones")

TURNS = min(RUNS, 5)


def measure(samples):
    for turn in range(TURNS):
        say(f"scheduler: turn {turn + 1} of {TURNS}")
        out = subprocess.run([BENCH / "programs/scheduler"], check=True, capture_output=True, text=True).stdout
        for name, value in json.loads(out).items():
            unit = "/s" if "per second" in name else "ms" if "in ms" in name else ""
            samples.add(name, value, unit)


def targets(samples):
    named = {"50 workloads": 10_000, "each another workload": 10_000}
    rows = [Target(f"placements per second, {what}, 10000 hosts",
                   samples.median(f"placements per second, {what}, 10000 hosts"), ">=", limit, TURNS)
            for what, limit in named.items()]
    density = "packing density, 50 sizes"
    return [*rows, Target(f"{density}: least hosts by used ones", samples.median(density), ">=", 0.95, TURNS)]
