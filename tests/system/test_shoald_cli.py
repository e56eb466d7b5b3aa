"""shoal: files that are applied, dry runs, top, completion."""
import json
import os
import subprocess

from daemon import Daemon
from harness import BUSYBOX, ROOT, SHOAL, expect, expect_refused, run, temporary_folder, test

FILE = f"""
# A volume, and who writes to it.
kind: volume
spec: {{name: data, size_mib: 1}}
---
kind: microvm
spec:
  name: spins
  program: {BUSYBOX}
  arguments:
    - sh
    - -c
    - |
      echo on > /dev/vda
      while :; do :; done
  volumes: [data]
  memory_mib: 32
---
- kind: group
  spec:
    name: g
    count: 2
    microvm: {{program: {BUSYBOX}, arguments: [sleep, "1000"], memory_mib: 32, labels: {{on: "yes"}}}}
"""


def shoal(daemon, *words):
    return run([SHOAL, *words], env={**os.environ, "SHOAL_SOCKET": str(daemon.socket)})


@test("shoald: shoal applies YAML, says before what is possible, and top shows who is busy")
def applies():
    with temporary_folder() as folder, Daemon(folder) as daemon:
        path = os.path.join(folder, "file.yaml")
        with open(path, "w") as file:
            file.write(FILE)
        for word in ("created", "applied"):
            result = shoal(daemon, "apply", "-f", path)
            expect(result.out.decode().split("\n")[:3] == [f"volume data {word}", f"microvm spins {word}", f"group g {word}"],
                   f"{result}")
        expect(daemon.done("GET", "/v1/groups/g")["spec"]["microvm"]["labels"] == {"on": "yes"}, "labels")
        daemon.wait(lambda: daemon.done("GET", "/v1/groups/g")["members"]["running"] == 2, "the group")
        daemon.wait_phase("spins", "running")
        table = shoal(daemon, "top", "-n", "2", "--interval", "1").out.decode()
        last = [line.split() for line in table.split("\n\n")[-1].splitlines()]
        expect(last[0][:4] == ["NAME", "PHASE", "CPU", "%"] and last[1][0] == "spins", table)
        expect(sorted(row[0] for row in last[2:]) == ["g-0", "g-1"], table)
        expect(float(last[1][2]) > 5 and 0 < float(last[1][3]) < 64, table)


@test("shoald: a dry run changes nothing, and says what is wrong")
def dry_run():
    with temporary_folder() as folder, Daemon(folder) as daemon:
        daemon.done("PUT", "/v1/projects/p", {"name": "p", "microvms": 1})
        path = os.path.join(folder, "file.yaml")

        def apply(text, *more):
            with open(path, "w") as file:
                file.write(text)
            return shoal(daemon, "apply", "-f", path, *more)

        good = f"kind: microvm\nspec: {{name: a, program: {BUSYBOX}, project: p}}\n"
        result = apply(good, "--dry-run")
        expect(result.out == b"microvm a is possible\n" and not daemon.list(), f"{result}")
        expect_refused(apply(good.replace("project", "colour"), "--dry-run"), '"colour"', program="shoal")
        group = f"kind: group\nspec: {{name: g, count: 2, microvm: {{program: {BUSYBOX}, project: p}}}}\n"
        expect_refused(apply(group, "--dry-run"), "2 more are too many", program="shoal")
        expect(apply(good).code == 0, "applied")
        daemon.wait_phase("a", "succeeded", "failed")
        expect_refused(apply(good.replace("project: p", "memory_mib: 5"), "--dry-run"), "labels", program="shoal")
        expect_refused(apply("kind: [\n"), "neither JSON nor YAML: line 2", program="shoal")


@test("shoald: several microVMs are created by one command, all or none, and run")
def several():
    with temporary_folder() as folder, Daemon(folder) as daemon:
        path = os.path.join(folder, "file.yaml")
        with open(path, "w") as file:
            file.write(f"kind: microvm\nspec: {{name: job, program: {BUSYBOX}, arguments: ['true'], memory_mib: 32}}\n")
        names = [f"job-{i}" for i in range(5)]
        result = shoal(daemon, "create", "-f", path, "--count", "5", "--dry-run")
        expect(result.code == 0 and not daemon.list(), f"{result}")
        result = shoal(daemon, "create", "-f", path, "--count", "5")
        expect(result.out.decode().splitlines() == [f"microvm {name} created" for name in names], f"{result}")
        for name in names:
            expect(daemon.wait_phase(name, "succeeded", "failed")["status"]["exit_code"] == 0, f"{daemon.microvm(name)}")
        expect_refused(shoal(daemon, "create", "-f", path, "--count", "6"), "job-0 already", program="shoal")
        expect_refused(shoal(daemon, "create", "-f", path, "--count", "101"), "100", program="shoal")
        expect_refused(shoal(daemon, "create", "-f", path, "--count", "1", "--wait"), "--wait", program="shoal")
        expect([item["name"] for item in daemon.list()] == names, f"{daemon.list()}")


@test("shoald: bash completes verbs, options, kinds and names")
def completes():
    with temporary_folder() as folder, Daemon(folder) as daemon:
        daemon.done("POST", "/v1/volumes", {"name": "data-1", "size_mib": 1})

        def complete(*words):
            script = f"""
                shoal() {{ {SHOAL} "$@"; }}
                source <({SHOAL} completion bash)
                COMP_WORDS=(shoal {" ".join(repr(word) for word in words)}); COMP_CWORD={len(words)}
                _shoal; printf '%s\n' "${{COMPREPLY[@]}}"
            """
            result = subprocess.run(["bash", "-c", script], capture_output=True, check=True,
                                    env={**os.environ, "SHOAL_SOCKET": str(daemon.socket)})
            return result.stdout.decode().split()

        expect(complete("des") == ["describe"], f"{complete('des')}")
        expect(complete("get", "vol") == ["volume"], f"{complete('get', 'vol')}")
        expect(complete("delete", "volume", "da") == ["data-1"], "a name")
        expect(complete("apply", "--dr") == ["--dry-run"], "an option")
        expect(complete("get", "vms", "-o", "j") == ["json"], "a value")


@test("shoald: openapi.yaml is YAML, and every path in it is served")
def documented():
    script = "import json, sys, yaml; json.dump(yaml.safe_load(open(sys.argv[1])), sys.stdout)"
    document = run(["/usr/bin/python3", "-c", script, ROOT / "controlplane/api/openapi.yaml"])
    expect(document.code == 0, f"{document}")
    with temporary_folder() as folder, Daemon(folder) as daemon:
        for path, item in json.loads(document.out)["paths"].items():
            methods = {method.upper() for method in item if method != "parameters"}
            status, answer = daemon.request("PATCH", path.replace("{name}", "x"))
            expect(status == 405, f"{path}: {answer}")
            expect(set(answer["detail"].removeprefix("this path takes ").split(", ")) == methods, f"{path}: {answer} {methods}")
