"""What the API costs: CPU time until it answers, and the time of a call."""
import json
import os
import pathlib
import subprocess
import tempfile
import time

from figures import Target
from processes import RUNS, VMM, call, cpu_us, stop

TITLE = "API"
CONDITIONS = "local; CPU time is user and system, of all threads, until GET / was answered once"

CALLS_PER_PROCESS = 50
ANSWER_DEADLINE_S = 30
MACHINE = ("PUT", "/machine-config", json.dumps({"vcpu_count": 1, "mem_size_mib": 128}))


def wait_for_socket(process, path):
    deadline = time.monotonic() + ANSWER_DEADLINE_S
    while not os.path.exists(path):
        if process.poll() is not None or time.monotonic() > deadline:
            stop(f"shoal-vmm makes no socket: {process.stderr.read()!r}")
        time.sleep(0.0002)


def measure_process(samples, socket_path):
    with subprocess.Popen([VMM, "--api-sock", socket_path], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE) as process:
        try:
            wait_for_socket(process, socket_path)
            call(socket_path, 1, "GET", "/")
            samples.add("process start to the API's first answer, CPU time", cpu_us(process.pid))
            for took in call(socket_path, CALLS_PER_PROCESS, "GET", "/"):
                samples.add("GET /", took)
            for took in call(socket_path, CALLS_PER_PROCESS, *MACHINE):
                samples.add("PUT /machine-config", took)
        finally:
            process.kill()


def measure(samples):
    with tempfile.TemporaryDirectory(prefix="shoal-bench-") as folder:
        for number in range(RUNS):
            measure_process(samples, str(pathlib.Path(folder) / f"{number}.socket"))


def targets(samples):
    start = "process start to the API's first answer, CPU time"
    return [Target("CPU time from process start to the API's socket, in ms", samples.median(start) / 1000, "<=", 3,
                   samples.runs(start)),
            *(Target(f"{name}, round trip, in us", samples.median(name), "<=", 200, samples.runs(name))
              for name in ("GET /", "PUT /machine-config"))]
