"""The smallest memory in which Debian's programs run: found by halving, and printed."""
import os
import select
import subprocess
import time

from harness import BUSYBOX, ENVIRONMENT, SHOAL, TIME_SCALE, expect, temporary_folder, test
from test_dynamic import PYTHON, WITH_PYTHON
from test_servers import LIBRARIES, NGINX, NGINX_CONFIG, REDIS_SERVER, SERVERS

LIMIT_S = 20


def does(options, words, sign, memory_mib):
    """Whether the program's output holds `sign` before it ends: a server is ended then."""
    deadline = time.monotonic() + LIMIT_S * TIME_SCALE
    command = [SHOAL, "run", "--memory", str(memory_mib), *options, "--", *map(str, words)]
    with subprocess.Popen(command, env=ENVIRONMENT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT) as process:
        seen = b""
        try:
            while sign not in seen and time.monotonic() < deadline:
                if not select.select([process.stdout], [], [], 0.1)[0]:
                    continue
                piece = os.read(process.stdout.fileno(), 4096)
                if not piece:
                    break
                seen += piece
        finally:
            process.kill()
    return sign in seen


def smallest_memory(options, words, sign, most_mib):
    """In MiB. More memory than is enough is taken to be enough."""
    expect(does(options, words, sign, most_mib), f"{words} does not run in {most_mib} MiB")
    least, enough = 1, most_mib
    while enough - least > 1:
        middle = (least + enough) // 2
        if does(options, words, sign, middle):
            enough = middle
        else:
            least = middle
    return enough


def measure(name, options, words, sign, most_mib):
    """`most_mib` is some three times what was found when this was written: more fails the test."""
    print(f"        {name}: {smallest_memory(options, words, sign, most_mib)} MiB are enough", flush=True)


@test("the smallest memory that programs run in is found")
def _():
    servers = ["--env", LIBRARIES]
    with temporary_folder() as folder:
        config = os.path.join(folder, "nginx.conf")
        with open(config, "w", encoding="ascii") as file:
            file.write(NGINX_CONFIG.format(root=folder).replace("error_log stderr", "error_log stderr notice"))
        measure("busybox", [], [BUSYBOX, "echo", "it runs"], b"it runs", 30)
        measure("sqlite3", [], ["/usr/bin/sqlite3", ":memory:", "create table t(n); select 'it' || ' runs'"],
                b"it runs", 42)
        measure("curl", [], ["/usr/bin/curl", "--version"], b"Release-Date", 60)
        markdown = os.path.join(folder, "text.md")
        with open(markdown, "w", encoding="ascii") as file:
            file.write("It *runs*.\n")
        measure("a static program in Go", ["--with", markdown], [SERVERS / "usr/bin/mmark", "-html", markdown],
                b"<em>runs</em>", 60)
        measure("python3", WITH_PYTHON, [PYTHON, "-c", "print('it' + ' runs')"], b"it runs", 256)
        measure("node", [], ["/usr/bin/node", "--jitless", "-e", "console.log('it' + ' runs')"], b"it runs", 336)
        measure("redis-server", servers, [REDIS_SERVER, "--save", ""], b"Ready to accept connections", 100)
        measure("nginx", [*servers, "--with", folder], [NGINX, "-p", "/tmp", "-c", config], b"using the \"epoll\"",
                54)
