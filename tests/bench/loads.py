"""What redis and nginx do under load in the unikernel, beside the same programs on the host."""
import csv
import io
import pathlib
import tempfile

from figures import ROOT
from processes import RUNS, say, stop
from servers import SERVERS, environment, places, running, servers

TITLE = "Servers under load in the unikernel, and on the host"
CONDITIONS = ("local /dev/kvm, 1 CPU, 128 MiB; the unikernel over a TAP with offloads, the host's servers over a veth pair; the client "
              "shares the machine's CPUs; redis-benchmark with 50 connections, wrk with 2 threads and 64 connections")

TURNS = min(RUNS, 5)
REDIS_REQUESTS = 30_000
WRK_S = 2
REPORT = ROOT / "tests/bench/wrk.lua"
# Name, words of redis-benchmark.
REDIS_LOADS = (("SET", ["-t", "set"]), ("GET", ["-t", "get"]), ("GET, 16 in a row", ["-t", "get", "-P", "16"]))
# Name of the file, of the figure, connections.
NGINX_LOADS = (("small", "small file", 64), ("large", "10 MB file", 4))


def load_redis(samples, network, place_name, place, requests=REDIS_REQUESTS):
    for name, words in REDIS_LOADS:
        done = network.run([SERVERS / "usr/bin/redis-benchmark", "-h", place.address, "-n", requests, "--csv", *words],
                           env=environment())
        rows = list(csv.DictReader(io.StringIO(done.out.decode())))
        if done.code != 0 or len(rows) != 1:
            stop(f"redis-benchmark: {done}")
        samples.add(f"redis {name}, {place_name}", float(rows[0]["rps"]) / 1000, "k/s")
        samples.add(f"redis {name}, p99, {place_name}", float(rows[0]["p99_latency_ms"]), "ms")


def load_nginx(samples, network, place_name, place, seconds=WRK_S, files=("small", "large")):
    for path, name, connections in NGINX_LOADS:
        if path not in files:
            continue
        done = network.run([SERVERS / "usr/bin/wrk", "-t", 2, "-c", connections, "-d", f"{seconds}s", "--timeout", "30s", "-s",
                            REPORT, f"http://{place.address}/{path}"], env=environment())
        words = done.out.split()[-4:]
        if done.code != 0 or len(words) != 4 or int(words[3]) != 0:
            stop(f"wrk: {done}")
        answered, megabytes, p99 = map(float, words[:3])
        if path == "small":
            samples.add(f"nginx {name}, {place_name}", answered / 1000, "k/s")
            samples.add(f"nginx {name}, p99, {place_name}", p99, "ms")
        else:
            samples.add(f"nginx {name}, {place_name}", megabytes, "MB/s")


def measure(samples):
    with tempfile.TemporaryDirectory(prefix="shoal-bench-") as name, places() as (network, where):
        redis, nginx = servers(pathlib.Path(name))
        for server, load in ((redis, load_redis), (nginx, load_nginx)):
            with running(network, where["shoal"], server), running(network, where["host"], server):
                for turn in range(TURNS):
                    say(f"loads: {server.name}, turn {turn + 1} of {TURNS}")
                    for place_name, place in where.items():
                        load(samples, network, place_name, place)


def share(samples, name):
    """What the unikernel does of what the host does, from medians."""
    samples.add(f"{name}, unikernel to host", samples.median(f"{name}, shoal") / samples.median(f"{name}, host"), "times")


def targets(samples):
    for name in [name.removesuffix(", shoal") for name in samples.values if name.endswith(", shoal")]:
        share(samples, name)
    return []
