"""The parts that need hardware KVM: all in one boot of scripts/nested-kvm.

The machine forgets what is written in it, so samples come back on stdout: a line of JSON a part.
"""
import importlib
import json
import os
import pathlib
import subprocess
import sys
import time

from figures import ROOT, Samples
from processes import say, stop

PARTS = ("linux", "disk", "net", "busy", "system_calls_nested", "servers_nested")
INSIDE = "SHOAL_BENCH_IS_NESTED"
TIME_LIMIT_S = 1200
MEMORY_MIB = 4096
RUN = pathlib.Path(__file__).with_name("run")


def is_inside():
    return INSIDE in os.environ


def measure_inside(parts):
    """(part, samples) for each, as they come."""
    words = [str(ROOT / "scripts/nested-kvm"), "--timing", "--timeout", str(TIME_LIMIT_S), "--memory",
             str(MEMORY_MIB), "--", str(RUN), *parts]
    env = {**os.environ, INSIDE: "1", "SHOAL_TEST_TIME_SCALE": "5"}
    with subprocess.Popen(words, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as machine:
        try:
            for line in machine.stdout:
                result = json.loads(line)
                yield result["part"], Samples(result["values"], result["units"])
        finally:
            if sys.exc_info()[0] is not None:
                machine.terminate()
    if machine.returncode != 0:
        stop(f"the nested machine ended with {machine.returncode}")


def measure_parts(parts):
    """Inside."""
    from contenders import Contenders

    with Contenders() as contenders:
        for name in parts:
            samples = Samples()
            started = time.monotonic()
            importlib.import_module(name).measure(samples, contenders)
            say(f"{name}: {time.monotonic() - started:.0f} s")
            print(json.dumps({"part": name, "values": samples.values, "units": samples.units}), flush=True)
