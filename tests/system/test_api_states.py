"""Every endpoint before the start, after it, and while the microVM is paused."""
import os

from api import AFTER_START, BEFORE_START, ApiVmm
from harness import expect, temporary_folder, test
from tiny_kernel import IDLE, write_kernel

NOT_YET = "not supported yet"
NO_HOT_PLUG = "PCI manager error: PCI is not enabled"

# (method, path, body, before, after): a status, or a piece of the fault_message. "{f}" is the test's folder.
ENDPOINTS = [
    ("GET", "/", None, 200, 200),
    ("GET", "/version", None, 200, 200),
    ("GET", "/vm/config", None, 200, 200),
    ("GET", "/machine-config", None, 200, 200),
    ("GET", "/metrics", None, 200, 200),
    ("PUT", "/machine-config", {"vcpu_count": 1, "mem_size_mib": 64}, 204, AFTER_START),
    ("PATCH", "/machine-config", {"mem_size_mib": 64}, 204, AFTER_START),
    ("PUT", "/boot-source", {"kernel_image_path": "{f}/kernel"}, 204, AFTER_START),
    ("PUT", "/drives/d", {"drive_id": "d", "is_root_device": False, "path_on_host": "{f}/disk"}, 204, NO_HOT_PLUG),
    ("PATCH", "/drives/d", {"drive_id": "d", "path_on_host": "{f}/disk"}, BEFORE_START, 204),
    ("DELETE", "/drives/d", None, BEFORE_START, NO_HOT_PLUG),
    ("PATCH", "/network-interfaces/n", {"iface_id": "n"}, BEFORE_START, "Network config error: Device not found"),
    ("DELETE", "/network-interfaces/n", None, BEFORE_START, NO_HOT_PLUG),
    ("PUT", "/vsock", {"guest_cid": 3, "uds_path": "{f}/vsock"}, 204, AFTER_START),
    ("PUT", "/entropy", {}, 204, AFTER_START),
    ("PUT", "/serial", {"serial_out_path": "{f}/serial"}, 204, AFTER_START),
    ("PUT", "/balloon", {"amount_mib": 0, "deflate_on_oom": False, "stats_polling_interval_s": 1,
                         "free_page_hinting": True}, 204, AFTER_START),
    ("GET", "/balloon", None, 200, 200),
    ("PATCH", "/balloon", {"amount_mib": 1}, BEFORE_START, "Balloon update error: "),
    ("GET", "/balloon/statistics", None, BEFORE_START, 200),
    ("PATCH", "/balloon/statistics", {"stats_polling_interval_s": 1}, BEFORE_START, 204),
    ("PATCH", "/balloon/hinting/start", {}, BEFORE_START, "Balloon update error: "),
    ("GET", "/balloon/hinting/status", None, BEFORE_START, 200),
    ("PATCH", "/balloon/hinting/stop", None, BEFORE_START, "Balloon update error: "),
    ("PUT", "/logger", {"level": "Info"}, 204, AFTER_START),
    ("PUT", "/metrics", {"metrics_path": "{f}/metrics"}, 204, AFTER_START),
    ("PUT", "/actions", {"action_type": "FlushMetrics"}, BEFORE_START, 204),
    ("PUT", "/actions", {"action_type": "SendCtrlAltDel"}, BEFORE_START, 204),
    ("PATCH", "/vm", {"state": "Paused"}, BEFORE_START, 204),
    ("PATCH", "/vm", {"state": "Resumed"}, BEFORE_START, 204),
    ("PUT", "/snapshot/create", {"snapshot_path": "s", "mem_file_path": "m"}, BEFORE_START,
     "Create snapshot error: "),
    ("GET", "/snapshot/create", None, BEFORE_START, 200),
    ("PUT", "/snapshot/load", {"snapshot_path": "s", "mem_file_path": "m"}, "not allowed after configuring", AFTER_START),
    ("GET", "/migration", None, 200, 200),
    ("PUT", "/migration/send", {"destination": "unix:{f}/nobody"}, BEFORE_START, "Migration error: "),
    ("PUT", "/migration/receive", {"listen": "unix:{f}/wire"}, "Migration error: Not allowed after configuring", AFTER_START),
    ("PUT", "/migration/cancel", {}, "no migration is going on", "no migration is going on"),
    ("PUT", "/migration/resolve", {"guest_runs": "Here"}, "not in doubt", "not in doubt"),
    ("PUT", "/cpu-config", {}, NOT_YET, AFTER_START),
    ("PUT", "/hotplug/memory", {"total_size_mib": 128}, NOT_YET, AFTER_START),
    ("PATCH", "/hotplug/memory", {"requested_size_mib": 128}, BEFORE_START, NOT_YET),
    ("GET", "/hotplug/memory", None, BEFORE_START, NOT_YET),
    ("PUT", "/pmem/p", {"id": "p", "path_on_host": "x"}, NOT_YET, NOT_YET),
    ("PATCH", "/pmem/p", {"id": "p"}, BEFORE_START, NOT_YET),
    ("DELETE", "/pmem/p", None, BEFORE_START, NO_HOT_PLUG),
    ("PUT", "/mmds/config", {"network_interfaces": ["n"]}, NOT_YET, AFTER_START),
    ("PUT", "/mmds", {}, NOT_YET, NOT_YET),
    ("PATCH", "/mmds", {}, NOT_YET, NOT_YET),
    ("GET", "/mmds", None, NOT_YET, NOT_YET),
]


def in_folder(folder, body):
    if body is None:
        return None
    return {key: value.format(f=folder) if isinstance(value, str) else value for key, value in body.items()}


def expect_answer(api, folder, request, expected):
    method, path, body = request
    body = in_folder(folder, body)
    if isinstance(expected, str):
        fault = api.fault(method, path, body)
        is_exact = expected in (BEFORE_START, AFTER_START)
        expect(fault == expected if is_exact else expected in fault, f"{method} {path}: {fault!r}, not {expected!r}")
        return
    status, answer = api.request(method, path, body)
    expect(status == expected, f"{method} {path} {body}: {status} {answer!r}")


def make_files(folder):
    write_kernel(folder, IDLE)
    with open(os.path.join(folder, "disk"), "wb") as file:
        file.truncate(1 << 20)


@test("API: every endpoint before the start, after it, and while the microVM is paused")
def _():
    with temporary_folder() as folder, ApiVmm(folder, "--log-path", os.path.join(folder, "log")) as vmm:
        make_files(folder)
        api = vmm.api
        expect(api.get("/")["state"] == "Not started", "the state before")
        for *request, before, _after in ENDPOINTS:
            expect_answer(api, folder, request, before)
        vmm.start()
        expect(api.get("/")["state"] == "Running", "the state after the start")
        for *request, _before, after in ENDPOINTS:
            expect_answer(api, folder, request, after)
        for _ in range(2):  # idempotent
            api.patch("/vm", state="Paused")
            expect(api.get("/")["state"] == "Paused", "the state after a pause")
        for *request, _before, after in ENDPOINTS:
            expect_answer(api, folder, request, after)
        for _ in range(2):
            api.patch("/vm", state="Resumed")
            expect(api.get("/")["state"] == "Running", "the state at the end")


@test("API: a microVM is started once, and only with a boot source")
def _():
    with temporary_folder() as folder, ApiVmm(folder) as vmm:
        start = ("PUT", "/actions", {"action_type": "InstanceStart"})
        vmm.api.expect_fault("Start microvm error: Cannot start microvm without kernel configuration.", *start)
        vmm.api.put("/boot-source", kernel_image_path=write_kernel(folder, IDLE))
        vmm.start()
        vmm.api.expect_fault(AFTER_START, *start)
        vmm.api.patch("/vm", state="Paused")
        vmm.api.expect_fault(AFTER_START, *start)


@test("API: a start that failed can be tried again")
def _():
    with temporary_folder() as folder, ApiVmm(folder) as vmm:
        start = ("PUT", "/actions", {"action_type": "InstanceStart"})
        make_files(folder)
        api = vmm.api
        kernel = os.path.join(folder, "kernel")
        api.put("/drives/d", drive_id="d", is_root_device=True, path_on_host=os.path.join(folder, "disk"))
        api.put("/vsock", guest_cid=3, uds_path=os.path.join(folder, "vsock"))
        api.put("/balloon", amount_mib=0, deflate_on_oom=False)
        api.put("/entropy")

        no_kernel = os.path.join(folder, "text")
        with open(no_kernel, "wb") as file:
            file.write(b"text\n" * 1000)
        api.put("/boot-source", kernel_image_path=no_kernel)
        for _ in range(3):
            api.expect_fault_with(["Start microvm error: ", no_kernel], *start)
            expect(api.get("/")["state"] == "Not started", "the state after a start that failed")
        api.put("/boot-source", kernel_image_path=kernel, boot_args="x" * 2040)
        api.expect_fault_with(["Start microvm error: ", "command line", "2047"], *start)
        api.put("/boot-source", kernel_image_path=kernel)
        for size in (1 << 40, (1 << 44) + 64, (1 << 64) - 1):  # the second wraps when it becomes bytes
            api.put("/machine-config", vcpu_count=1, mem_size_mib=size)
            api.expect_fault_with([f"Start microvm error: Invalid Memory Configuration: {size} MiB"], *start)
        api.put("/machine-config", vcpu_count=2, mem_size_mib=64)
        api.put("/drives/v", drive_id="v", is_root_device=False, socket=os.path.join(folder, "nobody"))
        api.expect_fault_with(["Start microvm error: ", os.path.join(folder, "nobody")], *start)
        api.put("/drives/v", drive_id="v", is_root_device=False, path_on_host=os.path.join(folder, "disk"))
        vmm.start()
        expect(api.get("/")["state"] == "Running", "the state at the end")


@test("API: more devices than a microVM has places are refused at the start")
def _():
    with temporary_folder() as folder, ApiVmm(folder) as vmm:
        make_files(folder)
        vmm.api.put("/boot-source", kernel_image_path=os.path.join(folder, "kernel"))
        for number in range(20):
            vmm.api.put(f"/drives/d{number}", drive_id=f"d{number}", is_root_device=False,
                        path_on_host=os.path.join(folder, "disk"))
        vmm.api.expect_fault_with(["Start microvm error: ", "too many devices", "19"], "PUT", "/actions",
                                  {"action_type": "InstanceStart"})
        expect(vmm.api.get("/")["state"] == "Not started", "the state")
