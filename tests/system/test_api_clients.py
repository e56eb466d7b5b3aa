"""Clients that misbehave, sockets that are in the way, signals, and how long answers take."""
import json
import os
import signal
import socket
import time

from api import ApiVmm, connect
from harness import TIME_SCALE, VMM, expect, run, temporary_folder, test
from tiny_kernel import IDLE, counting, write_kernel

# The emulated machine of tests/nested is there for what meets its CPU; repetitions do not.
IS_FAST = TIME_SCALE == 1
CALLS = 1000 if IS_FAST else 200
ROUNDS = 100 if IS_FAST else 20

GET = b"GET / HTTP/1.1\r\n\r\n"
TOO_MANY = (b"HTTP/1.1 503\r\nServer: Firecracker API\r\nConnection: close\r\nContent-Length: 40\r\n\r\n"
            b'{ "error": "Too many open connections" }')


def receive_all(connection):
    data = b""
    while piece := connection.recv(65536):
        data += piece
    return data


def ask(connection, request=GET):
    """The head of the answer, whose body is small."""
    connection.sendall(request)
    return connection.recv(65536)


@test("socket: one that is stale or in use is left alone, and told")
def _():
    with temporary_folder() as folder:
        text = "Failed to open the API socket at: {}. Check that it is not already used."
        with ApiVmm(folder) as vmm:
            result = run([VMM, "--api-sock", vmm.socket_path])
            expect(result.code == 1 and text.format(vmm.socket_path).encode() in result.err, str(result))
            expect(vmm.api.get("/")["state"] == "Not started", "the first one still answers")
            vmm.process.kill()
            vmm.wait_end()
            expect(os.path.exists(vmm.socket_path), "the socket stays, as Firecracker's does")
            result = run([VMM, "--api-sock", vmm.socket_path])
            expect(result.code == 1 and text.format(vmm.socket_path).encode() in result.err, str(result))
        os.unlink(vmm.socket_path)
        with ApiVmm(folder) as vmm:
            vmm.api.get("/")


@test("signals: SIGTERM, SIGINT and SIGHUP before and after the start, while paused and with a connection open")
def _():
    for number, code in ((signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 143)):
        for state in ("before", "after", "paused"):
            with temporary_folder() as folder, ApiVmm(folder, "--log-path", "/dev/null") as vmm:
                vmm.api.put("/vsock", guest_cid=3, uds_path=os.path.join(folder, "vsock"))
                if state != "before":
                    vmm.api.put("/boot-source", kernel_image_path=write_kernel(folder, counting()))
                    vmm.start()
                if state == "paused":
                    vmm.api.patch("/vm", state="Paused")
                with connect(vmm.socket_path) as idle:
                    ask(idle)
                    vmm.process.send_signal(number)
                    ended = vmm.wait_end()
                    expect(receive_all(idle) == b"", "the connection is closed")
                errors = vmm.errors()
                expect(ended == code and errors == f"shoal-vmm: ended by {number.name}\n",
                       f"{number.name} {state}: {ended} {errors!r}")
                left = set(os.listdir(folder)) - {"kernel"}
                expect(left == {"api.socket"}, f"{number.name} {state}: it left {left}")


@test("signals: SIGKILL leaves nothing but the sockets")
def _():
    with temporary_folder() as folder, ApiVmm(folder, "--log-path", "/dev/null") as vmm:
        vmm.api.put("/vsock", guest_cid=3, uds_path=os.path.join(folder, "vsock"))
        vmm.api.put("/boot-source", kernel_image_path=write_kernel(folder, IDLE))
        vmm.start()
        vmm.process.kill()
        expect(vmm.wait_end() == -signal.SIGKILL, "how it ended")
        expect(sorted(os.listdir(folder)) == ["api.socket", "kernel", "vsock"], str(os.listdir(folder)))


@test("connections: ten are served, the eleventh is told so, and a free place is used again")
def _():
    with temporary_folder() as folder, ApiVmm(folder) as vmm:
        # The client that waited for the socket may not be gone yet.
        deadline = time.monotonic() + 10 * TIME_SCALE
        connections = []
        while len(connections) < 10:
            connection = connect(vmm.socket_path)
            if ask(connection).startswith(b"HTTP/1.1 200 "):
                connections.append(connection)
            else:
                connection.close()
            expect(time.monotonic() < deadline, "ten connections were never served")
        for _ in range(3):
            with connect(vmm.socket_path) as surplus:
                expect(receive_all(surplus) == TOO_MANY, "the answer to the eleventh")
        for connection in connections:
            expect(ask(connection).startswith(b"HTTP/1.1 200 "), "the ten are still served")
        connections.pop().close()
        while True:
            with connect(vmm.socket_path) as connection:
                if ask(connection).startswith(b"HTTP/1.1 200 "):
                    break
            expect(time.monotonic() < deadline, "the free place was never used")
        for connection in connections:
            connection.close()


@test("connections: clients that die in the middle of a request, or before the answer, hurt nobody")
def _():
    body = json.dumps({"vcpu_count": 2, "mem_size_mib": 64}).encode()
    head = b"PUT /machine-config HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body)
    with temporary_folder() as folder, ApiVmm(folder, "--log-path", "/dev/null") as vmm:
        for cut in (0, 1, 10, len(head) - 1, len(head), len(head) + 5, len(head) + len(body) - 1):
            with connect(vmm.socket_path) as connection:
                connection.sendall((head + body)[:cut])
            with connect(vmm.socket_path) as connection:  # by a reset, where there is data unread
                connection.sendall((head + body)[:cut])
                connection.shutdown(socket.SHUT_WR)
                expect(receive_all(connection) == b"", f"half a request of {cut} bytes was answered")
        expect(vmm.api.get("/machine-config")["vcpu_count"] == 1, "half a request changed something")
        for _ in range(50):
            with connect(vmm.socket_path) as connection:
                connection.sendall(GET * 20)
        expect(vmm.api.get("/")["state"] == "Not started", "it still answers")
        expect(vmm.process.poll() is None, "it still runs")


@test("connections: requests that come in pieces, and several at once, are answered in order")
def _():
    with temporary_folder() as folder, ApiVmm(folder) as vmm, connect(vmm.socket_path) as connection:
        body = b'{"vcpu_count": 2, "mem_size_mib": 64}'
        for byte in b"PUT /machine-config HTTP/1.1\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body):
            connection.sendall(bytes([byte]))
        expect(connection.recv(65536) == b"HTTP/1.1 204 \r\nServer: Firecracker API\r\nConnection: keep-alive\r\n\r\n",
               "the answer to single bytes")
        connection.sendall(b"GET /version HTTP/1.1\r\n\r\nGET /nothing HTTP/1.0\r\n\r\nGET / HTTP/1.1\r\n\r\n")
        connection.shutdown(socket.SHUT_WR)
        answers = receive_all(connection).split(b"HTTP/1.1 ")[1:]
        expect([answer[:4] for answer in answers] == [b"200 ", b"400 ", b"200 "], str(answers))
    for request, piece in ((b"POST / HTTP/1.1\r\n\r\n", b"Unsupported HTTP method."),
                           (b"GET / HTTP/2.0\r\n\r\n", b"Unsupported HTTP version."),
                           (b"GET /" + b"x" * 2000 + b" HTTP/1.1\r\n\r\n", b"Invalid request."),
                           (b"\r\n\r\n", b"")):
        with temporary_folder() as folder, ApiVmm(folder) as vmm, connect(vmm.socket_path) as connection:
            answer = ask(connection, request)
            expect(answer.startswith(b"HTTP/1.1 400 ") and piece in answer
                   and b"\nAll previous unanswered requests will be dropped." in answer, str(answer))


@test("API: many calls while the guest hammers its serial port")
def _():
    with temporary_folder() as folder, ApiVmm(folder, "--log-path", "/dev/null") as vmm:
        vmm.api.put("/serial", serial_out_path="/dev/null")
        vmm.api.put("/boot-source", kernel_image_path=write_kernel(folder, counting(delay=1)))
        vmm.start()
        took = []
        connection = vmm.api.connect()
        for number in range(CALLS):
            path = ("/", "/vm/config", "/machine-config", "/metrics")[number % 4]
            started = time.perf_counter()
            connection.request("GET", path)
            answer = connection.getresponse()
            answer.read()
            took.append((time.perf_counter() - started) * 1000)
            expect(answer.status == 200, path)
        connection.close()
        took.sort()
        print(f"        calls took {took[CALLS // 2]:.2f} ms (median), {took[CALLS * 99 // 100]:.2f} ms (99 %), "
              f"{took[-1]:.2f} ms (slowest)")


def open_files(vmm):
    return len(os.listdir(f"/proc/{vmm.process.pid}/fd"))


def resident_kib(vmm):
    with open(f"/proc/{vmm.process.pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * 4


def expect_no_growth(vmm, work):
    """What `work` does again and again costs no descriptors and no memory."""
    for _ in range(5):
        work()
    files, resident = open_files(vmm), resident_kib(vmm)
    for _ in range(ROUNDS):
        work()
    # A connection may still be about to be closed.
    expect(open_files(vmm) <= files + 2, f"{files} files became {open_files(vmm)}")
    expect(resident_kib(vmm) < resident + 1024, f"{resident} KiB became {resident_kib(vmm)}")


@test("API: devices that are replaced, refused and updated, and starts that fail, leave nothing open")
def _():
    with temporary_folder() as folder, ApiVmm(folder, "--log-path", "/dev/null") as vmm:
        api = vmm.api
        disk, text = os.path.join(folder, "disk"), os.path.join(folder, "text")
        with open(disk, "wb") as file:
            file.truncate(1 << 20)
        with open(text, "wb") as file:
            file.write(b"text " * 1000)

        def configure_and_fail():
            api.put("/drives/d", drive_id="d", is_root_device=False, path_on_host=disk, io_engine="Async")
            api.fault("PUT", "/drives/d", {"drive_id": "d", "is_root_device": False, "path_on_host": folder})
            api.put("/vsock", guest_cid=3, uds_path=os.path.join(folder, "vsock"))
            api.put("/entropy", rate_limiter={"ops": {"size": 5, "refill_time": 100}})
            api.put("/balloon", amount_mib=0, deflate_on_oom=False, stats_polling_interval_s=1)
            api.put("/serial", serial_out_path=os.path.join(folder, "serial"))
            api.put("/logger", log_path="/dev/null")
            api.put("/boot-source", kernel_image_path=text, initrd_path=disk)
            api.fault("PUT", "/actions", {"action_type": "InstanceStart"})

        def update():
            api.patch("/drives/d", drive_id="d", path_on_host=disk, rate_limiter={"ops": {"size": 5, "refill_time": 9}})
            api.fault("PATCH", "/drives/d", {"drive_id": "d", "path_on_host": folder})
            api.patch("/balloon/statistics", stats_polling_interval_s=2)
            api.patch("/vm", state="Paused")
            api.patch("/vm", state="Resumed")

        expect_no_growth(vmm, configure_and_fail)
        api.put("/boot-source", kernel_image_path=write_kernel(folder, IDLE))
        vmm.start()
        expect_no_growth(vmm, update)
