"""shoald killed at random moments: nothing is lost, nothing runs twice, nothing is left."""
import http.client
import os
import random
import threading

from daemon import FINAL, Daemon
from harness import BUSYBOX, expect, temporary_folder, test
from test_shoald_networks import Namespace, when_networks

KILLS = int(os.environ.get("SHOAL_KILLS", "30"))
SEED = int(os.environ.get("SHOAL_KILL_SEED", str(random.SystemRandom().randrange(1 << 32))))

MOST = 40  # at a time


class Client:
    """Creates and deletes microVMs, and knows what it was promised. Unanswered requests may count or not."""

    def __init__(self, daemon, choose, specs):
        self.daemon, self.choose, self.specs = daemon, choose, specs
        self.count = 0
        self.wanted = set()  # creation was answered, deletion not asked for
        self.deleted = set()  # deletion was answered
        self.unknown = set()  # the answer to one of both was lost

    def step(self):
        """One request; False when shoald is gone."""
        deleting = self.wanted and (self.choose.random() < 0.4 or len(self.wanted) > MOST)
        name = self.choose.choice(sorted(self.wanted)) if deleting else f"m-{self.count}"
        try:
            if deleting:
                self.wanted.discard(name)
                self.unknown.add(name)
                status, answer = self.daemon.request("DELETE", f"/v1/microvms/{name}?grace_s=1")
                expect(status in (202, 204), f"DELETE {name}: {status} {answer}")
                self.unknown.discard(name)
                self.deleted.add(name)
            else:
                self.count += 1
                self.unknown.add(name)
                body = {"name": name, **self.choose.choice(self.specs)}
                status, answer = self.daemon.request("POST", "/v1/microvms", body)
                expect(status == 201, f"POST {name}: {status} {answer}")
                self.unknown.discard(name)
                self.wanted.add(name)
            return True
        except (OSError, http.client.HTTPException):
            return False


def work_until_killed(client, delay_s):
    """Requests one after the other; kill -9 after so long, in the middle of whatever happens."""
    killer = threading.Timer(delay_s, client.daemon.process.kill)
    killer.start()
    while client.step():
        pass
    killer.join()
    client.daemon.kill()
    reap_ended()


def reap_ended():
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def microvm_processes(daemon):
    """How many VMMs there are by microVM, from their run folders' locks."""
    found = {}
    for pid, words in daemon.processes().items():
        if words[0].endswith(b"shoal-supervisor"):
            name = words[1].rsplit(b"/", 1)[1].removesuffix(b".log").decode()
            found.setdefault(name, []).append(pid)
    return found


def survive(daemon, kills, specs):
    """MicroVMs of these kinds are created and deleted over so many kills. At the end there are none."""
    print(f"        SHOAL_KILL_SEED={SEED} SHOAL_KILLS={KILLS}", flush=True)
    choose = random.Random(SEED)
    client = Client(daemon, choose, specs)
    for _ in range(kills):
        work_until_killed(client, choose.uniform(0, 0.15))
        daemon.start()
    there = {item["name"] for item in daemon.list() if not item["deletion"]}
    expect(client.wanted <= there, f"lost: {client.wanted - there}")
    expect(not there & client.deleted, f"not deleted: {there & client.deleted}")
    expect(there <= client.wanted | client.unknown, f"nobody asked for {there - client.wanted - client.unknown}")
    for name in sorted(there):
        microvm = daemon.wait_phase(name, "running", *FINAL)
        expect(microvm["status"]["phase"] == "running" and microvm["status"]["restarts"] == 0, f"{microvm}")
    daemon.wait(lambda: set(item["name"] for item in daemon.list()) == there, "deletions to be done")
    running = microvm_processes(daemon)
    expect(set(running) == there and all(len(pids) == 1 for pids in running.values()), f"{running}, not {there}")
    addresses = [item["status"]["address"] for item in daemon.list() if item["spec"]["network"]]
    expect(all(addresses) and len(set(addresses)) == len(addresses), f"{addresses}")
    print(f"        {client.count} microVMs asked for, {len(there)} at the end", flush=True)
    for name in sorted(there):
        daemon.done("DELETE", f"/v1/microvms/{name}?grace_s=0")
    daemon.wait(lambda: not daemon.list(), "all to go")
    daemon.wait(lambda: not daemon.processes(), "their processes to go")
    expect(not daemon.run_folders(), f"{daemon.run_folders()}")
    daemon.wait(lambda: not any(daemon.cgroups().values()), "their control groups to go")
    expect(not list((daemon.state_dir / "logs").iterdir()), "logs were left behind")


SLEEP = {"program": BUSYBOX, "arguments": ["sleep", "1000"], "memory_mib": 32}


@test("shoald: kill -9 at random moments loses no microVM, runs none twice and leaves nothing behind")
def killed():
    with temporary_folder() as folder, Daemon(folder) as daemon:
        survive(daemon, KILLS, [SLEEP])


@test("shoald: kill -9 at random moments loses no clone and no address, and leaves no TAP and no rule behind")
@when_networks
def killed_with_networks():
    with temporary_folder() as folder, Namespace() as namespace:
        with Daemon(folder, within=namespace.within) as daemon:
            script = f"{BUSYBOX} sleep 1000 & read words < /dev/clone; wait"
            daemon.done("POST", "/v1/templates", {"name": "t", "program": BUSYBOX, "arguments": ["sh", "-c", script],
                                                  "memory_mib": 32})
            daemon.done("POST", "/v1/networks", {"name": "n", "subnet": "10.77.0.0/24"})
            survive(daemon, KILLS // 2, [{"template": "t", "vsock": False}, {**SLEEP, "network": "n"}])
            daemon.wait(lambda: daemon.done("GET", "/v1/networks/n")["addresses"] == 0, "the addresses to be given back")
            for kind in ("networks/n", "templates/t"):
                daemon.done("DELETE", f"/v1/{kind}")
            daemon.wait(lambda: namespace.links() == ["lo"] and not namespace.tables(),
                        f"{namespace.links()} and {namespace.tables()} to go")
            expect(not list((daemon.state_dir / "templates").iterdir()), "template files were left behind")


@test("shoald: microVMs go on while it is dead, and their ends are known to the next one")
def goes_on():
    with temporary_folder() as folder, Daemon(folder) as daemon:
        daemon.create(BUSYBOX, "sh", "-c", "sleep 1; echo still here; exit 5", name="goes-on")
        daemon.create(BUSYBOX, "sleep", "1000", name="crashes")
        for name in ("goes-on", "crashes"):
            daemon.wait_phase(name, "running")
        daemon.kill()
        os.kill(microvm_processes(daemon)["crashes"][0], 9)
        daemon.wait(lambda: not daemon.processes(), "both to end")
        reap_ended()
        daemon.start()
        status = daemon.wait_phase("goes-on", *FINAL)["status"]
        expect(status["exit_code"] == 5 and daemon.log("goes-on") == b"still here\n", f"{status}")
        status = daemon.wait_phase("crashes", *FINAL)["status"]
        expect(status["exit_code"] == 137 and "supervisor was killed" in status["reason"], f"{status}")
