"""Debian's redis-server, nginx and python3 run unmodified, and serve the host over a TAP."""
import collections
import contextlib
import http.client
import os
import subprocess
import time

from harness import ENVIRONMENT, ROOT, SHOAL, TIME_SCALE, expect, expect_same_as_host, temporary_folder
from test_dynamic import PYTHON, WITH_PYTHON
from test_sockets import LIMIT_S, connect, network_test, options, wait_for_port
from harness import test

SCRIPT = ROOT / "tests/system/wrk.lua"
SERVERS = ROOT / "build/tests/servers"
REDIS_SERVER = SERVERS / "usr/bin/redis-server"
NGINX = SERVERS / "usr/sbin/nginx"
LIBRARIES = f"LD_LIBRARY_PATH={SERVERS}/usr/lib/x86_64-linux-gnu"
# Where the CPU is emulated the tests are for what works there, not for how much.
LESS = TIME_SCALE ** 2
KEYS = int(100_000 / LESS)
REQUESTS = int(10_000 / LESS)
CONNECTIONS = int(1000 / TIME_SCALE)
BENCHMARK_REQUESTS = int(2000 / LESS)
LARGE_BYTES = int((100 << 20) / LESS)
BENCHMARK_TESTS = 20  # that redis-benchmark has


@contextlib.contextmanager
def server(network, tap, port, options_of_run, *words):
    """A program in a microVM on the TAP, once it listens at the port; ended at the end."""
    command = network.command([SHOAL, "run", *options(tap), "--env", LIBRARIES, *options_of_run, "--",
                               *map(str, words)])
    with subprocess.Popen(command, env=ENVIRONMENT, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
        try:
            wait_for_port(network, tap.guest_address, port).close()
            yield process
            expect(process.poll() is None, f"the server ended with {process.poll()}")
        finally:
            process.kill()


def run_tool(network, name, *words, stdin=b""):
    """What a client of Debian's says, on the host."""
    libraries = LIBRARIES.split("=", 1)
    result = network.run([SERVERS / "usr/bin" / name, *words], stdin=stdin,
                         env={**ENVIRONMENT, libraries[0]: libraries[1]})
    expect(result.code == 0, str(result))
    return result.out


def redis_cli(network, tap, name, *words, stdin=b""):
    return run_tool(network, name, "-h", tap.guest_address, *words, stdin=stdin)


def ask_redis(network, tap):
    expect(redis_cli(network, tap, "redis-cli", "PING") == b"PONG\n", "the answer to PING")
    commands = b"".join(b"SET key%d value%d\r\n" % (number, number) for number in range(KEYS))
    done = redis_cli(network, tap, "redis-cli", "--pipe", stdin=commands)
    expect(f"errors: 0, replies: {KEYS}".encode() in done, done.decode())
    expect(redis_cli(network, tap, "redis-cli", "DBSIZE") == b"%d\n" % KEYS, "the number of keys")
    commands = b"".join(b"GET key%d\n" % number for number in range(0, KEYS, 997))
    values = redis_cli(network, tap, "redis-cli", stdin=commands).split()
    expect(values == [b"value%d" % number for number in range(0, KEYS, 997)], "the values")
    publish_and_subscribe(network, tap)
    report = redis_cli(network, tap, "redis-benchmark", "-q", "-n", BENCHMARK_REQUESTS)
    expect(report.count(b"requests per second") == BENCHMARK_TESTS, report.decode())
    report = redis_cli(network, tap, "redis-benchmark", "-q", "-n", BENCHMARK_REQUESTS, "-P", "16", "-t", "set,get")
    expect(report.count(b"requests per second") == 2, report.decode())


def publish_and_subscribe(network, tap):
    with connect(network, tap.guest_address, 6379) as subscriber, \
            connect(network, tap.guest_address, 6379) as publisher:
        subscriber.sendall(b"SUBSCRIBE news\r\n")
        answers = subscriber.makefile("rb")
        expect([answers.readline() for _ in range(6)][-1] == b":1\r\n", "the subscription")
        publisher.sendall(b"PUBLISH news hello\r\n")
        expect(publisher.makefile("rb").readline() == b":1\r\n", "the number of subscribers")
        expect([answers.readline() for _ in range(7)][-1] == b"hello\r\n", "what was published")


for vcpus in (1, 2):
    def _(network, tap, vcpus=vcpus):
        with server(network, tap, 6379, ["--vcpus", str(vcpus)], REDIS_SERVER, "--save", "", "--protected-mode", "no"):
            ask_redis(network, tap)

    network_test(f"redis-server: many keys, pipelining, pub/sub and its benchmark, {vcpus} vCPUs")(_)


def save_all(network, tap, redis):
    """Every way to save, while the values are there, and what a reload finds. Larger than 4 MiB: redis syncs every 4."""
    value, count = b"v" * int(1000 * TIME_SCALE), int(6000 / TIME_SCALE)
    commands = b"".join(b"SET key%d %d-%b\r\n" % (number, number, value) for number in range(count))
    expect(f"errors: 0, replies: {count}".encode() in redis("redis-cli", "--pipe", stdin=commands), "the values")
    for command, done in (("BGREWRITEAOF", "aof_rewrite_in_progress"), ("BGSAVE", "rdb_bgsave_in_progress")):
        expect(b"started" in redis("redis-cli", command), command)
        end = time.monotonic() + LIMIT_S
        while f"{done}:0".encode() not in redis("redis-cli", "INFO", "persistence"):
            expect(time.monotonic() < end, f"{command} does not end")
    info = redis("redis-cli", "INFO", "persistence")
    for wanted in (b"rdb_last_bgsave_status:ok", b"aof_last_bgrewrite_status:ok", b"aof_last_write_status:ok"):
        expect(wanted in info, info.decode())
    for command in (("SAVE",), ("DEBUG", "RELOAD"), ("DEBUG", "LOADAOF")):
        expect(redis("redis-cli", *command) == b"OK\n", " ".join(command))
    commands = b"".join(b"GET key%d\n" % number for number in range(count))
    values = redis("redis-cli", stdin=commands).split()
    expect(values == [b"%d-%b" % (number, value) for number in range(count)], "the values after all that")


@network_test("redis-server: an append-only file, rewritten and saved in the background, and read again")
def _(network, tap):
    def redis(*words, stdin=b""):
        return redis_cli(network, tap, *words, stdin=stdin)

    with server(network, tap, 6379, ["--memory", "256"], REDIS_SERVER, "--save", "", "--protected-mode", "no",
                "--appendonly", "yes", "--dir", "/tmp", "--enable-debug-command", "yes"):
        save_all(network, tap, redis)
        # A fork copies what was written, up to 64 MiB; beyond that it fails, and redis says so and goes on.
        expect(redis("redis-cli", "SETRANGE", "large", 80 << 20, "x") == b"%d\n" % ((80 << 20) + 1), "a large value")
        expect(redis("redis-cli", "BGSAVE").startswith(b"ERR"), "a fork of more than 64 MiB")
        expect(redis("redis-cli", "GET", "key7").startswith(b"7-"), "a value after that")


NGINX_CONFIG = """daemon off; master_process off; worker_processes 1; user root root; error_log stderr; pid /tmp/pid;
events {{ worker_connections 2048; }}
http {{
    access_log off; sendfile on; keepalive_requests 100000; client_body_temp_path /tmp/1;
    proxy_temp_path /tmp/2; fastcgi_temp_path /tmp/3; uwsgi_temp_path /tmp/4; scgi_temp_path /tmp/5;
    server {{ listen 80 backlog=1024; root {root}; }}
}}
"""


@contextlib.contextmanager
def nginx(network, tap, large_bytes, *options_of_run, master="off", workers=1, listen="80 backlog=1024"):
    """nginx with a small file and a large one, whose bytes it gives."""
    with temporary_folder() as folder:
        large = os.urandom(large_bytes)
        config = NGINX_CONFIG.format(root=folder).replace(
            "master_process off; worker_processes 1", f"master_process {master}; worker_processes {workers}").replace(
                "80 backlog=1024", listen)
        for name, content in (("small", b"a small file\n"), ("large", large),
                              ("nginx.conf", config.encode())):
            with open(os.path.join(folder, name), "wb") as file:
                file.write(content)
        with server(network, tap, 80, ["--with", folder, *options_of_run], NGINX, "-p", "/tmp", "-c",
                    f"{folder}/nginx.conf"):
            yield large


def get(client, path):
    client.request("GET", path)
    answer = client.getresponse()
    body = answer.read()
    expect(answer.status == 200, f"{path}: {answer.status}")
    return body


def client_of(network, tap):
    client = http.client.HTTPConnection(tap.guest_address, 80, timeout=LIMIT_S)
    client.sock = connect(network, tap.guest_address, 80)
    return client


def load_nginx(network, tap, connections, seconds):
    """wrk with so many connections, all at once. The number of requests that were answered."""
    said = run_tool(network, "wrk", "-t", 2, "-c", connections, "-d", f"{seconds}s", "--timeout", f"{LIMIT_S:.0f}s",
                    "-s", SCRIPT, f"http://{tap.guest_address}/small").decode()
    words = said.split()
    expect(words[-4] == "requests" and int(words[-3]) > 0 and words[-2:] == ["errors", "0"], said)
    return int(words[-3])


def ask_nginx(network, tap, large):
    left = REQUESTS
    while left > 0:
        left -= load_nginx(network, tap, CONNECTIONS, 2 * int(TIME_SCALE))
    client = client_of(network, tap)
    for _ in range(100):
        expect(get(client, "/small") == b"a small file\n", "the small file")
    expect(get(client, "/large") == large, "the large file")
    clients = [client_of(network, tap) for _ in range(CONNECTIONS)]
    for each in clients:
        expect(get(each, "/small") == b"a small file\n", "the small file, of many connections")
    for each in [*clients, client]:
        each.close()


for vcpus in (1, 2):
    def _(network, tap, vcpus=vcpus):
        with nginx(network, tap, LARGE_BYTES, "--memory", "256", "--vcpus", str(vcpus)) as large:
            ask_nginx(network, tap, large)

    network_test(f"nginx: 10,000 requests of wrk over 1,000 connections, keep-alive, 100 MB with a checksum, {vcpus} vCPUs")(_)


@network_test("nginx: a master process and two workers, as it starts without a word")
def _(network, tap):
    with nginx(network, tap, 1 << 20, "--memory", "256", "--vcpus", "2", master="on", workers=2) as large:
        clients = [client_of(network, tap) for _ in range(20)]
        for each in clients:
            expect(get(each, "/small") == b"a small file\n" and get(each, "/large") == large, "the files")
        for each in clients:
            each.close()


@network_test("nginx: two workers with a listener each (reuseport) get connections in turn")
def _(network, tap):
    count = collections.Counter()
    with nginx(network, tap, 0, "--vcpus", "2", master="on", workers=2, listen="80 reuseport; add_header worker $pid"):
        for _ in range(10):
            with contextlib.closing(client_of(network, tap)) as client:
                client.request("GET", "/small")
                count[client.getresponse().headers["worker"]] += 1
    expect(sorted(count.values()) == [5, 5], f"connections by worker: {dict(count)}")


THREADS = """
import json, sqlite3, threading
squares = {}
threads = [threading.Thread(target=lambda n=n: squares.update({n: n * n})) for n in range(20)]
for each in threads: each.start()
for each in threads: each.join()
database = sqlite3.connect(":memory:")
database.execute("create table t(n, square)")
database.executemany("insert into t values (?, ?)", squares.items())
print(json.dumps(dict(database.execute("select n, square from t order by n"))))
"""


@test("python3: threads, json and sqlite3, on 1 and 2 vCPUs")
def _():
    for vcpus in ("1", "2"):
        expect_same_as_host(PYTHON, "-c", THREADS, options=[*WITH_PYTHON, "--memory", "512", "--vcpus", vcpus])


ECHO = """
import asyncio
async def echo(reader, writer):
    while line := await reader.readline():
        writer.write(line.upper())
        await writer.drain()
    writer.close()
async def main():
    server = await asyncio.start_server(echo, "0.0.0.0", 7000)
    async with server:
        await server.serve_forever()
asyncio.run(main())
"""


# http.server looks its host's name up before it listens, and no resolver answers: not for 10 s.
HTTP_SERVER_OPTIONS = [*WITH_PYTHON, "--memory", "512", "--env", "RES_OPTIONS=timeout:1 attempts:1"]


def ask_echo(network, tap, count):
    """The echo server, on so many connections at once."""
    connections = [connect(network, tap.guest_address, 7000) for _ in range(count)]
    for number, each in enumerate(connections):
        each.sendall(b"line %d\n" % number)
    for number, each in enumerate(connections):
        expect(each.makefile("rb").readline() == b"LINE %d\n" % number, "the echo")
        each.close()


def ask_python(network, tap, options_of_run):
    with server(network, tap, 80, options_of_run, PYTHON, "-m", "http.server", "80"):
        expect(b"Directory listing" in get(client_of(network, tap), "/"), "the listing")
    with server(network, tap, 7000, options_of_run, PYTHON, "-c", ECHO):
        ask_echo(network, tap, 20)


for vcpus in (1, 2):
    def _(network, tap, vcpus=vcpus):
        ask_python(network, tap, [*HTTP_SERVER_OPTIONS, "--vcpus", str(vcpus)])

    network_test(f"python3: http.server, and an echo server of asyncio, {vcpus} vCPUs")(_)
