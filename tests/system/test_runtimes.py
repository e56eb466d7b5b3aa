"""Language runtimes with threads and code of their own making: node, and programs that Go compiled."""
import hashlib
import http.client
import json
import os

from harness import expect, expect_same_as_host, shoal, temporary_folder, test
from test_servers import SERVERS, server
from test_sockets import LIMIT_S, connect, network_test

# Debian's, with the files that it reads at their places.
NODE = "/usr/bin/node"
NODE_OPTIONS = ["--root", SERVERS, "--memory", "512"]

COMPUTE = """
const fibonacci = n => n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
const all = Array.from({length: 50000}, (_, n) => ({n, text: `x${n}`}));
const kept = JSON.parse(JSON.stringify(all)).filter(each => each.n % 3 === 0).map(each => each.text.replace(/x/, "y"));
const hash = require("crypto").createHash("sha256").update(kept.join()).digest("hex");
setTimeout(() => console.log("later"), 5);
Promise.resolve(hash).then(console.log);
console.log(fibonacci(27), kept.length, process.argv.slice(1));
"""

WORKERS = """
const {Worker, isMainThread, parentPort, workerData} = require("worker_threads");
const work = `const {parentPort, workerData} = require("worker_threads");
let sum = 0; for (let n = 0; n < 300000; ++n) sum += n % workerData; parentPort.postMessage(sum);`;
Promise.all([3, 5, 7].map(workerData => new Promise((done, failed) =>
    new Worker(work, {eval: true, workerData}).on("message", done).on("error", failed))))
    .then(sums => console.log(sums.join(" ")));
"""
WORKERS_SUMS = b"300000 600000 899997\n"

ECHO = """
const http = require("http"), crypto = require("crypto");
http.createServer((request, answer) => {
    const pieces = [];
    request.on("data", piece => pieces.push(piece));
    request.on("end", () => answer.end(JSON.stringify({method: request.method, url: request.url,
        sha256: crypto.createHash("sha256").update(Buffer.concat(pieces)).digest("hex")})));
}).listen(8000);
"""


def node(*words):
    result = shoal(NODE, *words, options=NODE_OPTIONS)
    expect(result.code == 0 and result.err == b"", str(result))
    return result.out


@test("node: what it computes is the same with and without code made at run time")
def _():
    compiled = node("-e", COMPUTE, "word")
    expect(compiled.startswith(b"196418 16667 [ 'word' ]\n") and compiled.endswith(b"\nlater\n"), str(compiled))
    interpreted = shoal(NODE, "--jitless", "-e", COMPUTE, "word", options=NODE_OPTIONS)
    expect(interpreted.code == 0 and interpreted.out == compiled, str(interpreted))


@test("node: worker threads, on 1 and 2 vCPUs")
def _():
    for vcpus in ("1", "2"):
        result = shoal(NODE, "-e", WORKERS, options=[*NODE_OPTIONS, "--vcpus", vcpus])
        expect(result.code == 0 and result.out == WORKERS_SUMS, str(result))


def ask_node(network, tap, count, *options_of_run):
    """So many requests of one connection to node's HTTP server."""
    with server(network, tap, 8000, [*NODE_OPTIONS, *options_of_run], NODE, "-e", ECHO):
        client = http.client.HTTPConnection(tap.guest_address, 8000, timeout=LIMIT_S)
        client.sock = connect(network, tap.guest_address, 8000)
        for number in range(count):
            body = b"%d" % number * 1000
            client.request("POST", f"/{number}", body)
            answer = json.loads(client.getresponse().read())
            expect(answer == {"method": "POST", "url": f"/{number}", "sha256": sha256(body)}, str(answer))
        client.close()


for vcpus in (1, 2):
    def _(network, tap, vcpus=vcpus):
        ask_node(network, tap, 200, "--vcpus", str(vcpus))

    network_test(f"node: an HTTP server answers 200 requests of one connection, {vcpus} vCPUs")(_)


def sha256(data):
    return hashlib.sha256(data).hexdigest()


MARKDOWN = b"# A title\n\nText with *emphasis*, `code` and a [link](https://example.org).\n\n* one\n* two\n" * 200


@test("a static program in Go gives what it gives on the host")
def _():
    for options in ([], ["--vcpus", "2"]):
        expect_same_as_host(SERVERS / "usr/bin/mmark", "-html", stdin=MARKDOWN, options=options)


HOOKS = [{"id": "say", "execute-command": "/bin/echo", "include-command-output-in-response": True,
          "pass-arguments-to-command": [{"source": "url", "name": "word"}]}]


def ask_webhook(network, tap):
    for number in range(20):
        client = http.client.HTTPConnection(tap.guest_address, 9000, timeout=LIMIT_S)
        client.sock = connect(network, tap.guest_address, 9000)
        client.request("GET", f"/hooks/say?word=w{number}")
        answer = client.getresponse().read()
        expect(answer == b"w%d\n" % number, str(answer))
        client.close()


for vcpus in (1, 2):
    def _(network, tap, vcpus=vcpus):
        with temporary_folder() as folder:
            path = os.path.join(folder, "hooks.json")
            with open(path, "w", encoding="utf-8") as file:
                json.dump(HOOKS, file)
            options = ["--with", folder, "--with", "/bin/echo", "--memory", "256", "--vcpus", str(vcpus)]
            with server(network, tap, 9000, options, SERVERS / "usr/bin/webhook", "-hooks", path, "-port", "9000"):
                ask_webhook(network, tap)

    network_test(f"a server in Go starts a program for each request, {vcpus} vCPUs")(_)
