"""What shoald's API takes with many records in its store: gets, lists, creations, and events for many watchers."""
import concurrent.futures
import os
import selectors
import tempfile
import time

from figures import Target
from processes import call, say, stop
from shoald import CLIENTS, Connection, start

TITLE = "shoald's API"
RECORDS = int(os.environ.get("API_RECORDS", "10000"))
WATCHERS = 1000  # of 1,024 connections
PAGE = 1000
GETS = 20_000
LISTS = 5
CHANGES = 20
CONDITIONS = (f"local, SQLite on a disk, {RECORDS} microVMs that a cordoned host keeps waiting; {CLIENTS} clients on a connection "
              "each; an event's time is from the change's request, and the watchers are one Python process")

GET = f"get, {CLIENTS} clients"
CREATE = f"create, {CLIENTS} clients"
LIST = f"list of {RECORDS}, {PAGE} a page"
FIRST_EVENT = "the change's answer"
LAST_EVENT = f"an event, seen by {WATCHERS} watchers"


def ask_often(samples, name, path, count, *words):
    """Requests by several clients at once."""
    began = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
        parts = [pool.submit(call, path, count // CLIENTS, *words) for _ in range(CLIENTS)]
        took = [sample for part in parts for sample in part.result()]
    samples.add(f"{name}: requests per second", len(took) / (time.monotonic() - began), "1/s")
    for sample in took:
        samples.add(name, sample)


def list_all(connection):
    """How many there are, page by page."""
    count, after = 0, ""
    while after is not None:
        page = connection.ask("GET", f"/v1/microvms?limit={PAGE}" + (f"&after={after}" if after else ""))
        count, after = count + len(page["items"]), page["next"]
    return count


def measure_lists(samples, path):
    connection = Connection(path)
    for _ in range(LISTS):
        began = time.monotonic()
        if (count := list_all(connection)) != RECORDS + 1:
            stop(f"{count} microVMs are listed")
        samples.add(LIST, (time.monotonic() - began) * 1e6)


class Watchers:
    """Many clients of the stream of microVMs' changes."""

    def __init__(self, path):
        since = Connection(path).ask("GET", "/v1/microvms?limit=1")["resource_version"]
        self.selector = selectors.DefaultSelector()
        for _ in range(WATCHERS):
            connection = Connection(path)
            connection.request("GET", f"/v1/events?kind=microvms&since={since}")
            answer = connection.getresponse()
            if answer.status != 200:
                stop(f"a watcher got {answer.status} {answer.read()!r}")
            self.selector.register(answer, selectors.EVENT_READ)

    def wait(self, text):
        """When each has read this text."""
        seen = {}
        while len(seen) < WATCHERS:
            for key, _ in self.selector.select():
                if text in os.read(key.fd, 65536):
                    seen[key.fd] = time.monotonic()
        return seen.values()

    def close(self):
        for key in [*self.selector.get_map().values()]:
            key.fileobj.close()
        self.selector.close()


def measure_watchers(samples, path):
    connection = Connection(path)
    watchers = Watchers(path)
    try:
        for number in range(CHANGES):
            label = f"change-{number}"
            began = time.monotonic()
            connection.ask("PUT", "/v1/microvms/changed", {"program": "/bin/true", "labels": {"number": label}})
            samples.add(FIRST_EVENT, (time.monotonic() - began) * 1e6)
            for moment in watchers.wait(label.encode()):
                samples.add(LAST_EVENT, (moment - began) * 1e6)
    finally:
        watchers.close()


def measure(samples):
    with tempfile.TemporaryDirectory(prefix="shoal-bench-") as folder:
        process, path = start(f"{folder}/run", folder)
        try:
            connection = Connection(path)
            while not (hosts := connection.ask("GET", "/v1/hosts")["items"]):
                time.sleep(0.01)
            connection.ask("PUT", f"/v1/hosts/{hosts[0]['name']}/scheduling", {"scheduling": "cordoned"})
            connection.ask("PUT", "/v1/microvms/changed", {"program": "/bin/true"})
            say(f"shoald_api: {RECORDS} records")
            ask_often(samples, CREATE, path, RECORDS, "POST", "/v1/microvms", '{"program":"/bin/true"}')
            ask_often(samples, GET, path, GETS, "GET", "/v1/microvms/changed")
            measure_lists(samples, path)
            measure_watchers(samples, path)
        finally:
            process.terminate()
            process.wait()


def targets(samples):
    return [
        Target("gets per second", samples.median(f"{GET}: requests per second"), ">=", 10_000, 1),
        Target("creations per second", samples.median(f"{CREATE}: requests per second"), ">=", 500, 1),
        Target(f"list of {RECORDS} in ms", samples.median(LIST) / 1000, "<=", 500, LISTS),
        Target(f"p99 of an event's way to {WATCHERS} watchers in ms", samples.percentile_99(LAST_EVENT) / 1000, "<=", 100,
               samples.runs(LAST_EVENT)),
    ]
