"""The simulated cluster of 10,000 hosts and 1,000,000 microVMs: whether and how fast it is as it should be."""
import re
import subprocess

from figures import ROOT, Target
from processes import say, stop

TITLE = "Simulated cluster"
CONDITIONS = "10,000 hosts, 1,000,000 microVMs, faults for 20 s of simulated time; one run, one thread"

FIGURES = {"all placed, simulated": (r"all placed after ([\d.e+]+) s", "s"),
           "converged after the last fault, simulated": (r"converged ([\d.e+]+) s after", "s"),
           "real time": (r"took ([\d.e+]+) s", "s"),
           "steps": (r"([\d]+) steps", "")}


def measure(samples):
    say("cluster: one turn, some minutes")
    out = subprocess.run([ROOT / "build/tests/sim", "huge"], check=False, capture_output=True, text=True).stdout
    for name, (pattern, unit) in FIGURES.items():
        found = re.search(pattern, out)
        if not found:
            stop(f"the simulator says: {out}")
        samples.add(name, float(found.group(1)), unit)


def targets(samples):
    placed = 1_000_000 / samples.median("all placed, simulated")
    return [Target("microVMs placed per second of simulated time", placed, ">=", 10_000, 1)]
