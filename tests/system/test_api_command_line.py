"""shoal-vmm's command line as Firecracker's, exit codes, and the configuration file."""
import json
import os
import signal
import subprocess
import time

from api import Api, ApiVmm
from harness import TIME_SCALE, VMM, expect, run, temporary_folder, test
from netns import Network
from tiny_kernel import EXIT_0, IDLE, out_dword, write_kernel

FAILURE, BAD_CONFIGURATION, BAD_ARGUMENTS = 1, 152, 153


def expect_end(words, code, *pieces, **more):
    """The exit code, and one sentence on stderr with all pieces."""
    result = run([VMM, *words], **more)
    lines = result.err.decode(errors="replace").splitlines()
    expect(result.code == code, f"{words}: not exit code {code}: {result}")
    expect(len(lines) == 1 and lines[0].startswith("shoal-vmm: "), f"{words}: not one sentence: {result}")
    for piece in pieces:
        expect(piece in lines[0], f"{words}: {piece!r} is not in {lines[0]!r}")


@test("command line: --version and --help", needs_kvm=False)
def _():
    result = run([VMM, "--version"])
    expect(result.code == 0 and result.out.startswith(b"Firecracker v1.") and b"shoal-vmm " in result.out, str(result))
    result = run([VMM, "--help"])
    expect(result.code == 0 and result.err == b"", str(result))
    for flag in (b"--api-sock", b"--config-file", b"--no-api", b"--id", b"--boot-timer", b"--log-path", b"--level",
                 b"--show-level", b"--show-log-origin", b"--metrics-path", b"--http-api-max-payload-size", b"--version"):
        expect(flag in result.out, f"{flag} is not in the help")


@test("command line: bad flags end with 153", needs_kvm=False)
def _():
    for words, piece in ((["--no-such-flag"], "--no-such-flag"), (["stray"], "stray"),
                         (["--no-api"], "--config-file"), (["--api-sock"], "--api-sock"),
                         (["--http-api-max-payload-size", "-1"], "-1"), (["--start-time-us", "now"], "now"),
                         (["--initrd", "x"], "--kernel"), (["--memory", "5"], "--kernel"),
                         (["--id", "a", "--id", "b"], "--id"),
                         (["--enable-pci"], "not supported yet"), (["--metadata", "x"], "not supported yet")):
        expect_end(words, BAD_ARGUMENTS, piece)


@test("command line: --id is letters, digits and '-', at most 64", needs_kvm=False)
def _():
    for bad in ("", "a_b", "a b", "\u00e4", "x" * 65):
        expect_end(["--id", bad], BAD_ARGUMENTS, "Invalid instance ID")


@test("command line: --id is told in GET / and in the log")
def _():
    for good in ("a", "A-1", "x" * 64):
        with temporary_folder() as folder, ApiVmm(folder, "--id", good) as vmm:
            expect(vmm.api.get("/")["id"] == good, good)
            vmm.wait_for(f"[{good}:".encode())
    with temporary_folder() as folder, ApiVmm(folder) as vmm:
        info = vmm.api.get("/")
        version = vmm.api.get("/version")["firecracker_version"]
        expect(info == {"id": "anonymous-instance", "state": "Not started", "vmm_version": version,
                        "app_name": "Firecracker"}, str(info))


@test("command line: what cannot be opened ends with 1, bad configurations with 152")
def _():
    with temporary_folder() as folder:
        sock = ["--api-sock", os.path.join(folder, "socket")]
        expect_end(["--api-sock", "/no/folder/socket"], FAILURE,
                   "Failed to open the API socket at: /no/folder/socket. Check that it is not already used.")
        expect_end(["--api-sock", "/tmp/" + "x" * 120], FAILURE, "Failed to open the API socket at: ")
        expect_end([*sock, "--log-path", "/no/folder/log"], FAILURE, "Could not initialize logger", "/no/folder/log")
        expect_end([*sock, "--metrics-path", "/no/folder/metrics"], FAILURE, "/no/folder/metrics")
        expect_end([*sock, "--level", "Loud"], BAD_CONFIGURATION, "Loud")
        expect_end(["--no-api", "--config-file", "/no/folder/config"], BAD_CONFIGURATION, "/no/folder/config")
        expect_end(["--no-api", "--config-file", folder], BAD_CONFIGURATION, folder)


def write_config(folder, config):
    path = os.path.join(folder, "config.json")
    with open(path, "w", encoding="utf-8") as file:
        file.write(config if isinstance(config, str) else json.dumps(config))
    return path


@test("configuration file: what is wrong with it is told, and ends with 152")
def _():
    with temporary_folder() as folder:
        good = {"boot-source": {"kernel_image_path": write_kernel(folder, EXIT_0)}, "drives": []}
        for config, piece in (
                ("", "EOF while parsing"), ("[]", "invalid type"), ({"drives": []}, "missing field `boot-source`"),
                ({"boot-source": good["boot-source"]}, "missing field `drives`"),
                ({**good, "boot-source": {"kernel_image_path": "/no/kernel"}}, "/no/kernel"),
                ({**good, "machine-config": {"vcpu_count": 0, "mem_size_mib": 64}}, "vCPUs"),
                ({**good, "drives": [{"drive_id": "d", "is_root_device": True, "path_on_host": "/no/disk"}]}, "/no/disk"),
                ({**good, "vsock": {"guest_cid": 3, "uds_path": "/no/folder/vsock"}}, "/no/folder/vsock"),
                ({**good, "balloon": {"amount_mib": 4096, "deflate_on_oom": False}}, "too large"),
                ({**good, "cpu-config": {}}, "cpu-config"),
                ({**good, "logger": {"log_path": "/no/folder/log"}}, "/no/folder/log")):
            words = ["--no-api", "--config-file", write_config(folder, config)]
            expect_end(words, BAD_CONFIGURATION, "Configuration for VMM from one single json failed: ", piece)
        # Unknown sections are nobody's business, unknown fields are.
        result = run([VMM, "--no-api", "--config-file", write_config(folder, {**good, "comment": 1})])
        expect(result.code == 0 and result.err == b"", str(result))
        unknown = {**good, "machine-config": {"vcpu_count": 1, "mem_size_mib": 64, "comment": 1}}
        expect_end(["--no-api", "--config-file", write_config(folder, unknown)], BAD_CONFIGURATION, "`comment`")


@test("configuration file: with --no-api the guest's end is the process's, and there is no socket")
def _():
    with temporary_folder() as folder:
        # The exit device, the keyboard controller's reset, a triple fault, and the boot with two CPUs.
        for code, expected in ((EXIT_0, 0), (out_dword(0x501, 42), 42), (b"\xb0\xfe\xe6\x64\xf4", 0), (b"\x0f\x0b", 161)):
            config = {"boot-source": {"kernel_image_path": write_kernel(folder, code)}, "drives": [],
                      "machine-config": {"vcpu_count": 2, "mem_size_mib": 64}}
            result = run([VMM, "--no-api", "--config-file", write_config(folder, config)], cwd=folder)
            expect(result.code == expected, f"not {expected}: {result}")
            expect(f"exit_code={expected}".encode() in result.out, str(result))
            expect(b"Successfully started microvm" in result.out, str(result))
        expect(sorted(os.listdir(folder)) == ["config.json", "kernel"], str(os.listdir(folder)))


def configure_all(api, folder, taps):
    """Every resource that the configuration file knows."""
    bucket = {"size": 1000, "one_time_burst": 5, "refill_time": 100}
    for name in ("root", "data"):
        with open(os.path.join(folder, name), "wb") as file:
            file.truncate(1 << 20)
    api.put("/machine-config", vcpu_count=2, mem_size_mib=96, smt=False, track_dirty_pages=True)
    api.put("/boot-source", kernel_image_path=write_kernel(folder, IDLE), boot_args="console=ttyS0 quiet")
    api.put("/drives/data", drive_id="data", is_root_device=False, path_on_host=os.path.join(folder, "data"),
            cache_type="Writeback", io_engine="Async", rate_limiter={"bandwidth": bucket, "ops": bucket})
    api.put("/drives/root", drive_id="root", is_root_device=True, path_on_host=os.path.join(folder, "root"),
            is_read_only=True, partuuid="0eaa91a0-01")
    api.put("/network-interfaces/a", iface_id="a", host_dev_name=taps[0].name, guest_mac="06:00:00:00:00:0a",
            mtu=1400, tx_rate_limiter={"ops": bucket})
    api.put("/network-interfaces/b", iface_id="b", host_dev_name=taps[1].name)
    api.put("/vsock", guest_cid=7, uds_path=os.path.join(folder, "vsock"))
    api.put("/entropy", rate_limiter={"bandwidth": bucket})
    api.put("/balloon", amount_mib=8, deflate_on_oom=True, stats_polling_interval_s=2, free_page_hinting=True,
            free_page_reporting=True)


@test("configuration file: GET /vm/config of one microVM is the file of the next, word for word")
def _():
    with temporary_folder() as folder, Network(taps=2) as network:
        with ApiVmm(folder, command=network.command) as vmm:
            empty = vmm.api.get("/vm/config")
            expect(list(empty) == ["balloon", "drives", "boot-source", "cpu-config", "logger", "machine-config",
                                   "metrics", "mmds-config", "network-interfaces", "vsock", "entropy", "pmem",
                                   "memory-hotplug"], str(list(empty)))
            configure_all(vmm.api, folder, network.taps)
            configured = vmm.api.request("GET", "/vm/config")[1].decode()
            vmm.start()
            started = vmm.api.request("GET", "/vm/config")[1].decode()
            expect(started == configured, f"{configured} became {started} by the start")
            vmm.process.send_signal(signal.SIGTERM)
            vmm.wait_end()
        path = write_config(folder, configured)
        with ApiVmm(folder, "--config-file", path, command=network.command, socket_name="second.socket") as vmm:
            again = vmm.api.request("GET", "/vm/config")[1].decode()
            expect(vmm.api.get("/")["state"] == "Running", "the state")
            expect(again == configured, f"{configured} became {again} by the file")


@test("command line: --http-api-max-payload-size, in bytes of the body")
def _():
    with temporary_folder() as folder, ApiVmm(folder, "--http-api-max-payload-size", "100") as vmm:
        body = '{"level":"Info"}'
        expect(vmm.api.request("PUT", "/logger", body + " " * (100 - len(body)))[0] == 204, "100 bytes")
        status, answer = vmm.api.request("PUT", "/logger", body + " " * (101 - len(body)))
        expect(status == 400 and b"size 101 is larger than the limit of 100" in answer, f"101 bytes: {answer!r}")


@test("command line: the start times of whoever started it are in the metrics")
def _():
    with temporary_folder() as folder:
        before = [str(int(time.monotonic() * 1e6) - 5_000_000), "0", "7000000"]
        names = ("--start-time-us", "--start-time-cpu-us", "--parent-cpu-time-us")
        with ApiVmm(folder, *(word for pair in zip(names, before) for word in pair)) as vmm:
            text = vmm.api.request("GET", "/metrics")[1].decode()
            values = [int(line.split()[-1]) for line in text.splitlines() if line.startswith("shoal_api_server_process")]
            expect(len(values) == 2 and 7_000_000 < values[0] < 60_000_000, str(values))
            expect(5_000_000 < values[1] < 120_000_000, str(values))


@test("command line: standard streams that are closed are not taken by other files")
def _():
    with temporary_folder() as folder:
        sock = os.path.join(folder, "socket")
        script = 'exec "$0" "$@" <&- >&- 2>&-'
        process = subprocess.Popen(["sh", "-c", script, VMM, "--api-sock", sock, "--log-path", "/dev/zero"])
        try:
            deadline = time.monotonic() + 10 * TIME_SCALE
            while True:
                try:
                    Api(sock).get("/")
                    break
                except (FileNotFoundError, ConnectionRefusedError):
                    expect(time.monotonic() < deadline, "no API")
                    time.sleep(0.005)
            found = [os.readlink(f"/proc/{process.pid}/fd/{number}") for number in range(3)]
            expect(found == ["/dev/null"] * 3, str(found))
        finally:
            process.kill()
            process.wait()
