"""What is wrong with a request, told exactly: bodies, paths, ids, and what the host does not have."""
import json
import os
import re

from api import ApiVmm, connect
from harness import expect, run, temporary_folder, test
from netns import Network
from tiny_kernel import IDLE, write_kernel

JSON = "An error occurred when deserializing the json body of a request: "


@test("API: paths, methods and bodies that cannot be are refused in Firecracker's words")
def _():
    with temporary_folder() as folder, ApiVmm(folder) as vmm:
        api = vmm.api
        for method, path, body, text in (
                ("PATCH", "/boot-source", "{}", "Invalid request method and/or path: PATCH boot-source."),
                ("PATCH", "/logger", "{}", "Invalid request method and/or path: PATCH logger."),
                ("GET", "/nothing/here", None, "Invalid request method and/or path: GET nothing."),
                ("PUT", "/", "{}", "Invalid request method and/or path: PUT ."),
                ("DELETE", "/vsock", None, "Invalid request method and/or path: DELETE vsock."),
                ("PUT", "/snapshot/foo", "{}", "Invalid request method and/or path: PUT /snapshot/foo."),
                ("PUT", "/boot-source", None, "Empty PUT request."),
                ("PUT", "/nothing", None, "Empty PUT request."),
                ("PATCH", "/vm", None, "Empty PATCH request."),
                ("PATCH", "/machine-config", "{}", "Empty PATCH request."),
                ("GET", "/", "{}", "GET request cannot have a body."),
                ("DELETE", "/drives/a", "{}", "Empty Delete request."),
                ("PUT", "/drives", "{}", "The ID cannot be empty."),
                ("PUT", "/drives/", "{}", "The ID cannot be empty."),
                ("PUT", "/drives/a-b", "{}", "API Resource IDs can only contain alphanumeric characters and "
                                             "underscores."),
                ("PUT", "/drives/a", '{"drive_id": "b", "is_root_device": false}',
                 "The id from the path does not match the id from the body!"),
                ("PUT", "/network-interfaces/a", '{"iface_id": "b", "host_dev_name": "t"}',
                 "The id from the path [a] does not match the id from the body [b]!")):
            api.expect_fault(text, method, path, body)


@test("API: bodies with unknown or missing fields, wrong types or broken JSON are refused where they are wrong")
def _():
    with temporary_folder() as folder, ApiVmm(folder) as vmm:
        api = vmm.api
        for path, body, pieces in (
                ("/machine-config", {"mem_size_mib": 128}, ["missing field `vcpu_count` at line 1 column 21"]),
                ("/machine-config", {"vcpu_count": 2}, ["missing field `mem_size_mib` at line 1 column 17"]),
                ("/machine-config", {"vcpu_count": 1, "mem_size_mib": 64, "x": 1}, ["unknown field `x`", "`smt`"]),
                ("/machine-config", {"vcpu_count": "1", "mem_size_mib": 64}, ["invalid type: string \"1\""]),
                ("/machine-config", {"vcpu_count": 1, "mem_size_mib": 1 << 64}, ["invalid type: "]),
                ("/machine-config", {"vcpu_count": -1, "mem_size_mib": 64}, ["invalid value: integer `-1`"]),
                ("/machine-config", {"vcpu_count": 1, "mem_size_mib": 64, "smt": "yes"}, ["invalid type: string"]),
                ("/machine-config", {"vcpu_count": 1, "mem_size_mib": 64, "huge_pages": "1G"},
                 ["unknown variant `1G`, expected one of "]),
                ("/boot-source", {}, ["missing field `kernel_image_path`"]),
                ("/boot-source", {"kernel_image_path": 5}, ["invalid type: integer `5`, expected a string"]),
                ("/vsock", {"guest_cid": 2, "uds_path": "x"}, ["`2`"]),
                ("/balloon", {"amount_mib": 1}, ["missing field `deflate_on_oom`"]),
                ("/entropy", {"rate_limiter": {"bandwidth": {"size": 1}}}, ["missing field `refill_time`"]),
                ("/entropy", {"rate_limit": {}}, ["unknown field `rate_limit`, expected `rate_limiter`"]),
                ("/serial", {"serial_out_path": 1}, ["invalid type: integer `1`"]),
                ("/logger", {"level": "Loud"}, ["unknown variant `Loud`"]),
                ("/metrics", {}, ["missing field `metrics_path`"]),
                ("/actions", {"action_type": "Explode"}, ["unknown variant `Explode`"]),
                ("/network-interfaces/n", {"iface_id": "n", "host_dev_name": "t", "guest_mac": "0:1"},
                 ["The provided MAC address is invalid."]),
                ("/network-interfaces/n", {"iface_id": "n", "host_dev_name": "t", "mtu": 67}, ["67"]),
                ("/network-interfaces/n", {"iface_id": "n", "host_dev_name": "t", "mtu": 65536}, ["65536"])):
            api.expect_fault_with([JSON, *pieces], "PUT", path, body)
        for body, piece in (("{", "EOF while parsing"), ("nonsense", "expected ident"), ("{} x", "trailing characters"),
                            ('{"vcpu_count": 1,}', "trailing comma"), ("\0", "expected value")):
            api.expect_fault_with([JSON, piece], "PUT", "/machine-config", body)
        vcpus = "The number of vCPUs must be greater than 0, less than 32 and must be 1 or an even number if SMT is " \
            "enabled."
        memory = "The memory size (MiB) is either 0, or not a multiple of the configured page size."
        for body, text in (({"vcpu_count": 0}, vcpus), ({"vcpu_count": 33}, vcpus),
                           ({"vcpu_count": 3, "smt": True}, vcpus), ({"mem_size_mib": 0}, memory),
                           ({"mem_size_mib": 65, "huge_pages": "2M"}, memory)):
            api.expect_fault("Machine config error: " + text, "PATCH", "/machine-config", body)
        expect(api.get("/machine-config") == {"vcpu_count": 1, "mem_size_mib": 128, "smt": False,
                                              "track_dirty_pages": False, "huge_pages": "None"}, "nothing was changed")


@test("API: kernels, disks, sockets and targets that are missing or cannot be opened are refused at once")
def _():
    with temporary_folder() as folder, ApiVmm(folder) as vmm:
        api = vmm.api
        kernel = write_kernel(folder, IDLE)
        missing = "No such file or directory (os error 2)"
        api.expect_fault_with(["Boot source error: The kernel file cannot be opened: " + missing, "/no/kernel"],
                              "PUT", "/boot-source", {"kernel_image_path": "/no/kernel"})
        api.expect_fault_with(["Boot source error: ", folder], "PUT", "/boot-source", {"kernel_image_path": folder})
        api.expect_fault_with(["Boot source error: The initrd file cannot be opened", missing, "/no/initrd"],
                              "PUT", "/boot-source", {"kernel_image_path": kernel, "initrd_path": "/no/initrd"})
        for arguments in ("x" * 2049, "tab\there"):
            api.expect_fault_with(["Boot source error: The kernel command line is invalid"], "PUT", "/boot-source",
                                  {"kernel_image_path": kernel, "boot_args": arguments})

        def refuse_drive(path, *pieces, **more):
            body = {"drive_id": "d", "is_root_device": False, "path_on_host": path, **more}
            api.expect_fault_with(["Drive config error: ", *pieces], "PUT", "/drives/d", body)

        refuse_drive("/no/disk", "Error manipulating the backing file: " + missing + " /no/disk")
        refuse_drive(folder, folder, "directory")
        refuse_drive("/dev/null", "/dev/null")
        refuse_drive(kernel, "Invalid block config.", socket="/x")
        api.expect_fault_with(["Drive config error: ", "Invalid block config."], "PUT", "/drives/d",
                              {"drive_id": "d", "is_root_device": False})
        expect(api.get("/vm/config")["drives"] == [], "no drive was kept")

        for path, pieces in ((kernel, ["in use (os error 98)", kernel]), (folder + "/" + "x" * 200, ["107"]),
                             ("/no/folder/socket", ["No such file", "/no/folder/socket"])):
            api.expect_fault_with(["Vsock config error: ", *pieces], "PUT", "/vsock",
                                  {"guest_cid": 3, "uds_path": path})
        expect(os.path.getsize(kernel) > 0, "a file that is in the way is left alone")
        for path in ("/no/folder/file", folder):
            api.expect_fault_with(["Serial config error: ", path], "PUT", "/serial", {"serial_out_path": path})
            api.expect_fault_with(["Logger error: ", path, "(os error "], "PUT", "/logger", {"log_path": path})
            api.expect_fault_with(["Metrics error: ", path], "PUT", "/metrics", {"metrics_path": path})
        metrics = os.path.join(folder, "metrics")
        api.put("/metrics", metrics_path=metrics)
        api.expect_fault("Metrics error: Reinitialization of metrics not allowed.", "PUT", "/metrics",
                         {"metrics_path": metrics})


@test("API: a user's own files only: what is unreadable is refused")
def _():
    if os.getuid() != 0:
        return  # then nobody else's files are at hand
    unreadable = "Permission denied (os error 13)"
    with temporary_folder() as folder:
        secret = write_kernel(folder, IDLE, "secret")
        os.chown(secret, 65534, 65534)
        os.chmod(secret, 0)

        def without_powers(words):
            """As root, who owns /dev/kvm, but bound by permissions as everybody is."""
            return ["setpriv", "--bounding-set=-dac_override,-dac_read_search,-net_admin", *words]

        with ApiVmm(folder, command=without_powers) as vmm:
            vmm.api.expect_fault_with(["Boot source error: The kernel file cannot be opened: " + unreadable, secret],
                                      "PUT", "/boot-source", {"kernel_image_path": secret})
            vmm.api.expect_fault_with(["Drive config error: ", unreadable, secret], "PUT", "/drives/d",
                                      {"drive_id": "d", "is_root_device": False, "path_on_host": secret})
            os.chmod(secret, 0o444)
            vmm.api.expect_fault_with(["Drive config error: ", "Permission denied", secret], "PUT", "/drives/d",
                                      {"drive_id": "d", "is_root_device": False, "path_on_host": secret})
            vmm.api.put("/drives/d", drive_id="d", is_root_device=False, path_on_host=secret, is_read_only=True)
            vmm.api.expect_fault_with(["Network config error: Could not create the network device", "notmine"],
                                      "PUT", "/network-interfaces/n", {"iface_id": "n", "host_dev_name": "notmine"})


@test("API: TAPs: one that is in use, a MAC address that is in use, and what a refusal leaves")
def _():
    with temporary_folder() as folder, Network(taps=2) as network, \
            ApiVmm(folder, command=network.command) as vmm:
        api = vmm.api
        first, second = (tap.name for tap in network.taps)

        def refuse(interface, host_dev_name, *pieces, **more):
            body = {"iface_id": interface, "host_dev_name": host_dev_name, **more}
            api.expect_fault_with(["Network config error: ", *pieces], "PUT", f"/network-interfaces/{interface}", body)

        mac = "06:00:00:00:00:01"
        api.put("/network-interfaces/a", iface_id="a", host_dev_name=first, guest_mac=mac)
        refuse("b", first, "Could not create the network device", first, "busy")
        refuse("b", second, "The MAC address is already in use: " + mac, guest_mac=mac)
        refuse("b", "x" * 16, "x" * 16)
        refuse("b", "lo", "lo")
        api.put("/network-interfaces/b", iface_id="b", host_dev_name=second, guest_mac="06:00:00:00:00:02")
        refuse("b", first, "Could not create the network device")
        refuse("a", second, "The MAC address is already in use", guest_mac="06:00:00:00:00:02")
        for _ in range(2):  # the same again, and another address
            api.put("/network-interfaces/a", iface_id="a", host_dev_name=first, guest_mac="06:00:00:00:00:03")
        before = api.get("/vm/config")
        expect([interface["host_dev_name"] for interface in before["network-interfaces"]] == [first, second], before)
        api.request("GET", "/metrics")
        api.put("/boot-source", kernel_image_path=write_kernel(folder, IDLE))
        vmm.start()
        expect(api.get("/vm/config")["network-interfaces"] == before["network-interfaces"], "after the start")
        api.patch("/network-interfaces/a", iface_id="a", rx_rate_limiter={"ops": {"size": 5, "refill_time": 100}})
        limits = api.get("/vm/config")["network-interfaces"][0]["rx_rate_limiter"]
        expect(limits["ops"] == {"size": 5, "one_time_burst": None, "refill_time": 100}, str(limits))


@test("API: a vsock device is replaced, its old socket goes, and a refusal leaves the old one")
def _():
    with temporary_folder() as folder, ApiVmm(folder) as vmm:
        first, second = (os.path.join(folder, name) for name in ("first", "second"))
        inodes = set()
        for cid in (3, 4):
            vmm.api.put("/vsock", guest_cid=cid, uds_path=first)
            inodes.add(os.stat(first).st_ino)
        expect(len(inodes) == 1, "the socket went and came again")
        vmm.api.fault("PUT", "/vsock", {"guest_cid": 2**32 - 1, "uds_path": first})
        connect(first).close()
        os.unlink(first)
        vmm.api.put("/vsock", guest_cid=4, uds_path=first)
        connect(first).close()
        vmm.api.put("/vsock", guest_cid=5, uds_path=second)
        expect(os.path.exists(second) and not os.path.exists(first), str(os.listdir(folder)))
        vmm.api.fault("PUT", "/vsock", {"guest_cid": 6, "uds_path": "/no/folder/socket"})
        connect(second).close()
        expect(vmm.api.get("/vm/config")["vsock"] == {"guest_cid": 5, "uds_path": second}, "the configuration")


@test("API: disks: one root, PATCH of what there is and what there is not")
def _():
    with temporary_folder() as folder, ApiVmm(folder) as vmm:
        api = vmm.api
        paths = [os.path.join(folder, name) for name in ("one", "two")]
        for path in paths:
            with open(path, "wb") as file:
                file.truncate(1 << 20)
        api.put("/drives/data", drive_id="data", is_root_device=False, path_on_host=paths[0])
        api.put("/drives/root", drive_id="root", is_root_device=True, path_on_host=paths[0])
        api.expect_fault("Drive config error: A root block device already exists!", "PUT", "/drives/data",
                         {"drive_id": "data", "is_root_device": True, "path_on_host": paths[0]})
        expect([drive["drive_id"] for drive in api.get("/vm/config")["drives"]] == ["root", "data"], "root is first")
        api.put("/boot-source", kernel_image_path=write_kernel(folder, IDLE))
        vmm.start()
        drives = "/drives/data"
        api.expect_fault("Drive config error: Device not found", "PATCH", "/drives/nobody",
                         {"drive_id": "nobody", "path_on_host": paths[0]})
        api.expect_fault("Drive config error: Unable to patch the block device: Running method expected different "
                         "backend.", "PATCH", drives, {"drive_id": "data"})
        for field in ("is_read_only", "io_engine", "is_root_device"):
            api.expect_fault_with([JSON, f"unknown field `{field}`"], "PATCH", drives,
                                  {"drive_id": "data", "path_on_host": paths[0], field: True})
        api.expect_fault_with(["Error manipulating the backing file: No such file or directory (os error 2) /no/disk"],
                              "PATCH", drives, {"drive_id": "data", "path_on_host": "/no/disk"})
        api.expect_fault_with([folder], "PATCH", drives, {"drive_id": "data", "path_on_host": folder})
        expect(api.get("/vm/config")["drives"][1]["path_on_host"] == paths[0], "after the refusals")
        bucket = {"size": 5000, "refill_time": 100}
        api.patch(drives, drive_id="data", path_on_host=paths[1], rate_limiter={"bandwidth": bucket})
        drive = api.get("/vm/config")["drives"][1]
        expect(drive == {"drive_id": "data", "partuuid": None, "is_root_device": False, "cache_type": "Unsafe",
                         "is_read_only": False, "path_on_host": paths[1], "io_engine": "Sync", "socket": None,
                         "rate_limiter": {"bandwidth": {**bucket, "one_time_burst": None}, "ops": None}}, str(drive))
        api.patch(drives, drive_id="data", rate_limiter={"bandwidth": {"size": 0, "refill_time": 0}})
        expect(api.get("/vm/config")["drives"][1]["rate_limiter"] is None, "no limit any more")


@test("API: balloons: none, too large, statistics that cannot be switched")
def _():
    with temporary_folder() as folder, ApiVmm(folder) as vmm:
        api = vmm.api
        too_large = "Amount of pages requested is too large."
        api.fault("GET", "/balloon")
        api.expect_fault("Balloon config error: " + too_large, "PUT", "/balloon",
                         {"amount_mib": 129, "deflate_on_oom": False})
        api.put("/balloon", amount_mib=128, deflate_on_oom=False)
        api.expect_fault_with(["Machine config error: ", "balloon"], "PATCH", "/machine-config", {"mem_size_mib": 127})
        api.put("/boot-source", kernel_image_path=write_kernel(folder, IDLE))
        vmm.start()
        for amount in (129, 33554432, (1 << 32) - 1):
            api.expect_fault("Balloon update error: " + too_large, "PATCH", "/balloon", {"amount_mib": amount})
        api.expect_fault_with(["Balloon update error: ", "inactive"], "PATCH", "/balloon", {"amount_mib": 5})
        api.expect_fault_with(["Balloon config error: ", "not enabled"], "GET", "/balloon/statistics")
        api.expect_fault_with(["Balloon update error: ", "Cannot enable/disable the statistics after boot."], "PATCH",
                              "/balloon/statistics", {"stats_polling_interval_s": 1})
        api.fault("PATCH", "/balloon/hinting/start")
        expect(api.get("/balloon") == {"amount_mib": 128, "deflate_on_oom": False, "stats_polling_interval_s": 0,
                                       "free_page_hinting": False, "free_page_reporting": False}, "the balloon")
    with temporary_folder() as folder, ApiVmm(folder) as vmm:
        vmm.api.put("/boot-source", kernel_image_path=write_kernel(folder, IDLE))
        vmm.start()
        for method, path, body in (("PATCH", "/balloon", {"amount_mib": 0}), ("GET", "/balloon", None),
                                   ("GET", "/balloon/statistics", None), ("PATCH", "/balloon/hinting/stop", None)):
            vmm.api.expect_fault_with(["Balloon ", "No balloon device found."], method, path, body)


@test("API: deprecated fields are answered with a Deprecation header")
def _():
    with temporary_folder() as folder, ApiVmm(folder) as vmm:
        for path, body, deprecated in (
                ("/vsock", {"guest_cid": 3, "uds_path": folder + "/v", "vsock_id": "v"}, True),
                ("/vsock", {"guest_cid": 3, "uds_path": folder + "/v"}, False),
                ("/machine-config", {"vcpu_count": 1, "mem_size_mib": 64, "cpu_template": "None"}, True)):
            connection = vmm.api.connect()
            connection.request("PUT", path, json.dumps(body))
            answer = connection.getresponse()
            expect((answer.status, answer.getheader("Deprecation")) == (204, "true" if deprecated else None), path)
            connection.close()


@test("API: curl --unix-socket drives it as Firecracker's documents do")
def _():
    if run(["sh", "-c", "command -v curl"]).code != 0:
        return
    with temporary_folder() as folder, ApiVmm(folder) as vmm:
        kernel = write_kernel(folder, IDLE)

        def curl(*words):
            return run(["curl", "--silent", "--show-error", "--unix-socket", vmm.socket_path, "-i", *words])

        headers = ["-H", "Accept: application/json", "-H", "Content-Type: application/json"]
        for path, body in (("boot-source", {"kernel_image_path": kernel, "boot_args": "console=ttyS0"}),
                           ("machine-config", {"vcpu_count": 2, "mem_size_mib": 64}),
                           ("actions", {"action_type": "InstanceStart"})):
            result = curl("-X", "PUT", f"http://localhost/{path}", *headers, "-d", json.dumps(body))
            expect(result.out.startswith(b"HTTP/1.1 204 \r\nServer: Firecracker API\r\nConnection: keep-alive\r\n\r\n"),
                   str(result))
        result = curl("http://localhost/")
        expect(re.search(rb'^HTTP/1.1 200 .*"state":"Running"', result.out, re.DOTALL), str(result))
        result = curl("-X", "PUT", "http://localhost/actions", "-d", "{")
        expect(result.code == 0 and b"HTTP/1.1 400 " in result.out and b"fault_message" in result.out, str(result))
        large = os.path.join(folder, "large")
        with open(large, "wb") as file:
            file.write(b"x" * 51201)
        result = curl("-X", "PUT", "http://localhost/mmds", "--data-binary", "@" + large)
        expect(b"Request payload with size 51201 is larger than the limit of 51200 allowed by server." in result.out
               and b"Content-Length: 149" in result.out, str(result))
