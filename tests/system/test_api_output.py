"""What a microVM that the API drives writes: its log, its metrics, and the serial port's bytes."""
import contextlib
import fcntl
import json
import os
import re
import time

from api import ApiVmm
from harness import TIME_SCALE, Failure, expect, temporary_folder, test
from tiny_kernel import BOOT_TIMER, EXIT_0, IDLE, counting, talking, write_kernel

LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9} \[([^\]]*)\] (.*)")


def read_lines(path):
    with open(path, encoding="utf-8") as file:
        return file.read().splitlines()


def places(lines):
    """What stands in the brackets of each line."""
    for line in lines:
        expect(LINE.fullmatch(line) is not None, f"not a line of the log: {line!r}")
    return [LINE.fullmatch(line)[1] for line in lines]


def start(vmm, code):
    vmm.api.put("/boot-source", kernel_image_path=write_kernel(vmm.folder, code))
    vmm.start()


def wait_until(condition, what, timeout_s=10 * TIME_SCALE):
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise Failure(f"it never came: {what}")
        time.sleep(0.002)


@test("log: lines as Firecracker's, with level and origin, on stdout or in a file")
def _():
    with temporary_folder() as folder:
        path = os.path.join(folder, "log")
        for number, (flags, place) in enumerate((
                ([], r"anonymous-instance:shoal-vmm"), (["--show-level"], r"anonymous-instance:shoal-vmm:(INFO|ERROR)"),
                (["--show-level", "--show-log-origin"], r"anonymous-instance:shoal-vmm:(INFO|ERROR):[\w./]+\.cpp:\d+"))):
            with ApiVmm(folder, "--log-path", path, *flags, socket_name=f"{number}.socket") as vmm:
                vmm.api.fault("PUT", "/nothing", {})
                found = places(read_lines(path))
                expect(all(re.fullmatch(place, found_place) for found_place in found), str(found))
                expect(any('The API server received a Put request on "/nothing" with body' in line
                           for line in read_lines(path)), "requests")
                expect(any("Received Error. Status code: 400 Bad Request. Message: Invalid request method" in line for line in read_lines(path)), "errors")
            os.unlink(path)
        with ApiVmm(folder) as vmm:
            vmm.wait_for(b"Running Firecracker v")
            vmm.wait_for(b'The API server received a Get request on "/".\n')


@test("log: levels, modules, and another target at run time")
def _():
    with temporary_folder() as folder:
        path, other = os.path.join(folder, "log"), os.path.join(folder, "other")
        with ApiVmm(folder, "--log-path", path, "--level", "error", "--show-level") as vmm:
            vmm.api.get("/")
            expect(read_lines(path) == [], "nothing below the level")
            vmm.api.fault("GET", "/nothing")
            expect([place.split(":")[2] for place in places(read_lines(path))] == ["ERROR"], "one error")
            vmm.api.put("/logger", log_path=other, level="Debug", show_level=False)
            vmm.api.get("/version")
            expect(len(read_lines(path)) <= 2 and any("/version" in line for line in read_lines(other)), "the new target")
            vmm.api.put("/logger", level="Off")
            before = len(read_lines(other))
            vmm.api.fault("GET", "/nothing")
            expect(len(read_lines(other)) == before, "off")
            vmm.api.put("/logger", level="Info", module="no/such/folder")
            vmm.api.get("/version")
            expect(len(read_lines(other)) <= before + 1, "a module that there is not")


@test("log: --boot-timer tells when the guest wrote its byte")
def _():
    line = re.compile(r"Guest-boot-time = +\d+ us \d+ ms, +\d+ CPU us \d+ CPU ms")
    with temporary_folder() as folder:
        path = os.path.join(folder, "log")
        for flags, count in ((["--boot-timer"], 1), ([], 0)):
            name = f"{count}.socket"
            with ApiVmm(folder, "--log-path", path, *flags, socket_name=name) as vmm:
                start(vmm, BOOT_TIMER + counting())
                vmm.wait_for(b"\x05")  # the guest is past it
                found = [text for text in read_lines(path) if line.search(text)]
                expect(len(found) == count, f"{flags}: {found}")
            os.unlink(path)


@contextlib.contextmanager
def small_pipe(path):
    """A named pipe that is soon full: it has room for one page."""
    os.mkfifo(path)
    end = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    try:
        fcntl.fcntl(end, fcntl.F_SETPIPE_SZ, 4096)
        yield
    finally:
        os.close(end)


@test("log and metrics: a named pipe that nobody reads does not stop anything")
def _():
    with temporary_folder() as folder:
        log, metrics = os.path.join(folder, "log"), os.path.join(folder, "metrics")
        with small_pipe(log), small_pipe(metrics), ApiVmm(folder, "--log-path", log, "--metrics-path", metrics) as vmm:
            start(vmm, IDLE)
            flush = ("PUT", "/actions", {"action_type": "FlushMetrics"})
            statuses = [vmm.api.request(*flush)[0] for _ in range(20)]
            expect(statuses[0] == 204 and statuses[-1] == 400, f"{statuses.count(204)} lines were taken")
            for _ in range(100):
                vmm.api.get("/")
            with open(metrics, "rb", buffering=0) as pipe:
                os.set_blocking(pipe.fileno(), False)
                lines = pipe.read(1 << 20).splitlines()
            json.loads(lines[0])
            text = vmm.api.request("GET", "/metrics")[1].decode()
            expect(sample(text, "shoal_logger_missed_log_count") > 0, "lines of the log were missed")
            expect(sample(text, "shoal_logger_missed_metrics_count") > 0, "lines of metrics were missed")
            expect(vmm.api.request(*flush)[0] == 204, "there is room again")


@test("metrics: lines of JSON with counters of every device, as differences")
def _():
    with temporary_folder() as folder:
        path, disk = os.path.join(folder, "metrics"), os.path.join(folder, "disk")
        with open(disk, "wb") as file:
            file.truncate(1 << 20)
        with ApiVmm(folder, "--log-path", "/dev/null", "--id", "named") as vmm:
            vmm.api.put("/metrics", metrics_path=path, emit_id=True, properties={"zone": "north"})
            for name in ("one", "two"):
                vmm.api.put(f"/drives/{name}", drive_id=name, is_root_device=False, path_on_host=disk)
            vmm.api.put("/vsock", guest_cid=3, uds_path=os.path.join(folder, "vsock"))
            vmm.api.put("/balloon", amount_mib=0, deflate_on_oom=False)
            vmm.api.put("/entropy")
            start(vmm, counting())
            vmm.wait_for(b"\x20")
            flush_metrics(vmm)
            vmm.api.patch("/drives/two", drive_id="two", path_on_host=disk)
            flush_metrics(vmm)
            flush_metrics(vmm)
            vmm.process.terminate()
            vmm.wait_end()
        lines = [json.loads(line) for line in read_lines(path)]
        expect(len(lines) == 4, f"three flushes and the end: {len(lines)} lines")
        for line in lines:
            expect({"utc_timestamp_ms", "block", "block_one", "block_two", "vsock", "balloon", "entropy", "uart", "i8042",
                    "vcpu", "api_server", "put_api_requests", "logger"} <= set(line), str(sorted(line)))
            expect((line["id"], line["zone"]) == ("named", "north"), "the labels")
        stamps = [line["utc_timestamp_ms"] for line in lines]
        expect(stamps == sorted(stamps) and abs(stamps[0] / 1000 - time.time()) < 3600, str(stamps))
        expect(lines[0]["uart"]["write_count"] >= 32, str(lines[0]["uart"]))
        expect([line["put_api_requests"]["actions_count"] for line in lines] == [1, 1, 1, 1],
               "each line tells of the action before it")
        expect([line["block_two"]["update_count"] for line in lines] == [0, 1, 0, 0], "updates of the second disk")
        expect([line["block"]["update_count"] for line in lines] == [0, 1, 0, 0], "updates of all disks")
        expect(all(line["block_one"]["update_count"] == 0 for line in lines), "updates of the first disk")


def flush_metrics(vmm):
    vmm.api.put("/actions", action_type="FlushMetrics")


def sample(text, name):
    found = re.search(rf"^{name}\{{[^}}]*\}} (\d+)$", text, re.MULTILINE)
    expect(found is not None, f"{name} is not among the metrics")
    return int(found[1])


@test("metrics: GET /metrics is Prometheus' text form")
def _():
    with temporary_folder() as folder, ApiVmm(folder, "--id", "named") as vmm:
        disk = os.path.join(folder, "disk")
        with open(disk, "wb") as file:
            file.truncate(1 << 20)
        for name in ("one", "two"):
            vmm.api.put(f"/drives/{name}", drive_id=name, is_root_device=False, path_on_host=disk)
        start(vmm, IDLE)
        text = vmm.api.request("GET", "/metrics")[1].decode()
        expect(text.endswith("\n"), "the last line is whole")
        types, seen = {}, []
        for line in text.splitlines():
            if declared := re.fullmatch(r"# TYPE ([a-zA-Z_:][a-zA-Z0-9_:]*) (counter|gauge)", line):
                expect(declared[1] not in types, f"{line!r} comes twice")
                types[declared[1]] = declared[2]
                continue
            found = re.fullmatch(r'([a-zA-Z_:][a-zA-Z0-9_:]*)\{((?:[a-z_]+="[^"\\]*",?)+)\} (\d+)', line)
            expect(found is not None, f"not a sample: {line!r}")
            expect(list(types)[-1] == found[1], f"{line!r} is not behind its type")
            expect('instance_id="named"' in found[2], line)
            seen.append(found[1] + found[2])
        expect(len(seen) == len(set(seen)) and len(seen) > 30, "each sample once")
        expect(sum("shoal_block_read_bytes" in name for name in seen) == 2, "one sample for each disk")


@test("serial: the output goes to a file, and what is beyond the limit is dropped")
def _():
    with temporary_folder() as folder:
        path = os.path.join(folder, "serial")
        with ApiVmm(folder, "--log-path", "/dev/null", socket_name="a.socket") as vmm:
            vmm.api.put("/serial", serial_out_path=path)
            start(vmm, counting())
            wait_until(lambda: os.path.getsize(path) >= 600, "600 bytes in the file")
            with open(path, "rb") as file:
                expect(file.read(512) == bytes(range(256)) * 2, "the bytes in the file")
            expect(not vmm.read_more(0), "nothing on stdout")
        os.unlink(path)
        with ApiVmm(folder, "--log-path", "/dev/null", socket_name="b.socket") as vmm:
            vmm.api.put("/serial", serial_out_path=path,
                        rate_limiter={"size": 100, "one_time_burst": 50, "refill_time": 3_600_000})
            start(vmm, counting())
            wait_until(lambda: sample(vmm.api.request("GET", "/metrics")[1].decode(),
                                      "shoal_uart_rate_limiter_dropped_bytes") > 100, "dropped bytes")
            with open(path, "rb") as file:
                content = file.read()
            expect(content == bytes(range(150)), f"{len(content)} bytes")


@test("serial: a process whose output nobody reads ends all the same")
def _():
    with temporary_folder() as folder:
        pipe, log = os.path.join(folder, "pipe"), os.path.join(folder, "log")
        os.mkfifo(pipe)
        with ApiVmm(folder, "--log-path", log, socket_name="a.socket") as vmm:
            vmm.api.put("/serial", serial_out_path=pipe)
            start(vmm, talking(70_000 // 16) + EXIT_0)  # the pipe takes 65536, the device's queue the rest
            expect(vmm.process.wait(10 * TIME_SCALE) == 0, "the guest's exit code")
        expect(any("nobody has read the guest's console for 1 s" in line for line in read_lines(log)), "the log")
        with ApiVmm(folder, "--log-path", "/dev/null", socket_name="b.socket") as vmm:
            fcntl.fcntl(vmm.process.stdout, fcntl.F_SETPIPE_SZ, 4096)
            start(vmm, talking(1 << 30))
            wait_until(lambda: sample(vmm.api.request("GET", "/metrics")[1].decode(), "shoal_uart_write_count") > 8192, "a full pipe")
            vmm.process.terminate()
            expect(vmm.process.wait(10 * TIME_SCALE) == 143, "the exit code of SIGTERM")


@test("pause: a guest that counts on the serial port says nothing, and misses nothing")
def _():
    with temporary_folder() as folder, ApiVmm(folder, "--log-path", "/dev/null") as vmm:
        start(vmm, counting())
        for _ in range(5):
            had = len(vmm.seen)
            while len(vmm.seen) < had + 300:
                expect(vmm.read_more(10 * TIME_SCALE), "it counts")
            vmm.api.patch("/vm", state="Paused")
            while vmm.read_more(0):
                pass  # what came before
            expect(not vmm.read_more(0.2), "it said something while it was paused")
            vmm.api.patch("/vm", state="Resumed")
        vmm.read_more(10 * TIME_SCALE)
        whole = bytes(range(256)) * (len(vmm.seen) // 256 + 1)
        expect(vmm.seen == whole[:len(vmm.seen)], "a byte is missing or came twice")
