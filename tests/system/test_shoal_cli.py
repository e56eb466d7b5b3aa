"""shoal's verbs that ask a shoald."""
import json
import pathlib
import subprocess

from daemon import FINAL, Daemon
from harness import BUSYBOX, SHOAL, expect, expect_refused, run, temporary_folder, test


def ask(daemon, *words, stdin=b""):
    """`shoal WORDS`: its output as text; it must succeed."""
    result = run([SHOAL, *words, "--socket", daemon.socket], stdin=stdin)
    expect(result.code == 0 and result.err == b"", f"{words}: {result}")
    return result.out.decode()


def microvm(name, *arguments, **more):
    return {"kind": "microvm", "spec": {"name": name, "program": BUSYBOX, "arguments": [*arguments], **more}}


@test("shoal: get, describe, create, apply, logs and delete ask shoald")
def verbs():
    with temporary_folder() as folder, Daemon(folder) as daemon:
        file = pathlib.Path(folder) / "two.json"
        file.write_text(json.dumps([microvm("a", "echo", "from a", labels={"tier": "web"}), microvm("b", "true")]))
        expect(ask(daemon, "create", "-f", str(file)) == "microvm a created\nmicrovm b created\n", "create")
        expect(ask(daemon, "apply", "-f", "-", stdin=file.read_bytes()) == "microvm a applied\nmicrovm b applied\n", "apply")
        expect(ask(daemon, "logs", "a", "-f") == "from a\n", "logs -f")
        for name in ("a", "b"):
            daemon.wait_phase(name, *FINAL)
        lines = ask(daemon, "get", "vms").splitlines()
        expect(len(lines) == 3 and lines[0].split()[:4] == ["NAME", "PHASE", "HOST", "RESTARTS"], f"{lines}")
        name, phase, _, *counts = lines[1].split()[:5]
        expect((name, phase, counts) == ("a", "succeeded", ["0", "0"]), f"{lines}")
        only = json.loads(ask(daemon, "get", "microvm", "-l", "tier=web", "-o", "json"))
        expect([item["name"] for item in only] == ["a"], f"{only}")
        one = json.loads(ask(daemon, "get", "microvm", "b", "-o", "json"))
        expect(one["spec"]["arguments"] == ["true"], f"{one}")
        described = ask(daemon, "describe", "microvm", "a")
        expect("\n  phase: succeeded\n" in described and "\n    tier: web\n" in described, described)
        expect("allocatable:" in ask(daemon, "describe", "host"), "describe host")
        expect("being deleted" in ask(daemon, "delete", "microvm", "a", "b"), "delete")
        for name in ("a", "b"):
            daemon.wait_gone(name)


@test("shoal: what shoald refuses, or that it is not there, is one sentence", needs_kvm=False)
def refusals():
    with temporary_folder() as folder:
        nobody = run([SHOAL, "get", "vms", "--socket", f"{folder}/none"])
        expect_refused(nobody, "there is no shoald at", f"{folder}/none", program="shoal")
        with Daemon(folder) as daemon:
            for words, stdin, piece in [
                (("get", "vm", "nobody"), b"", "there is no microVM nobody"),
                (("get", "things"), b"", "things"),
                (("create", "-f", "-"), b"{", "not JSON"),
                (("create", "-f", "-"), b'{"kind": "pod", "spec": {}}', '"kind"'),
                (("create", "-f", "-"), b'{"kind": "microvm", "spec": {"colour": 1}}', '"colour"'),
                (("apply", "-f", "-"), b'{"kind": "microvm", "spec": {"program": "x"}}', "spec.name"),
                (("logs", "nobody"), b"", "nobody"),
                (("describe", "vm"), b"", "NAME"),
            ]:
                result = run([SHOAL, *words, "--socket", daemon.socket], stdin=stdin)
                expect_refused(result, piece, program="shoal")


@test("shoal: a list of more than one page is whole", needs_kvm=False)
def pages():
    with temporary_folder() as folder, Daemon(folder, "--max-microvms", "0") as daemon:
        objects = [microvm(f"m-{number}", "true") for number in range(1005)]
        ask(daemon, "create", "-f", "-", stdin=json.dumps(objects).encode())
        expect(len(json.loads(ask(daemon, "get", "vms", "-o", "json"))) == 1005, "not all")
