"""Snapshots whose memory another process serves, page by page, through userfaultfd."""
import contextlib
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys

from api import ApiVmm
from harness import expect, temporary_folder, test
from migration_calls import NO_LOG, start_generations, wait_for_ticks
from snapshot_calls import finish_live_snapshot, load, names

SERVER = str(pathlib.Path(__file__).with_name("page_server.py"))


def make_snapshot(folder, vcpus=1, memory_mib=64):
    with ApiVmm(folder, *NO_LOG, socket_name="source") as vmm:
        start_generations(vmm, folder, 16, 5, memory_mib, vcpu_count=vcpus)
        vmm.api.patch("/vm", state="Paused")
        vmm.api.put("/snapshot/create", **names(folder))


@contextlib.contextmanager
def page_server(folder):
    path = os.path.join(folder, "pages")
    with subprocess.Popen([sys.executable, "-B", SERVER, path, names(folder)["mem_file_path"]], stdout=subprocess.PIPE) as process:
        try:
            expect(process.stdout.readline() == b"listening\n", "the page server")
            process.path = path
            yield process
        finally:
            process.kill()
            os.unlink(path)


def body(folder, path, **more):
    return {"snapshot_path": names(folder)["snapshot_path"], "mem_backend": {"backend_type": "Uffd", "backend_path": path}, **more}


for vcpus, options in ((1, ()), (2, ()), (1, ("--warm", "1,64"))):
    @test(f"page server: a guest runs on pages that another process serves, {vcpus} vCPUs {' '.join(options)}")
    def _(vcpus=vcpus, options=options):
        with temporary_folder() as folder:
            make_snapshot(folder, vcpus)
            with page_server(folder) as server:
                with ApiVmm(folder, *NO_LOG, *options, socket_name="restored") as vmm:
                    vmm.api.put("/snapshot/load", **body(folder, server.path, resume_vm=True, track_dirty_pages=True))
                    wait_for_ticks(vmm, 100)
                    expect(b"broken" not in vmm.seen, f"{vmm.seen[-200:]!r}")
                    vmm.api.expect_fault_with(["stands still only"], "PUT", "/snapshot/create",
                                              {**names(folder, "behind-"), "resume_vm": True})
                    vmm.api.patch("/vm", state="Paused")
                    vmm.api.put("/snapshot/create", **names(folder, "diff-"), snapshot_type="Diff")
                    vmm.api.put("/snapshot/create", **names(folder, "whole-"))
                report = json.loads(server.stdout.readline())
            (mapping,) = report["mappings"]
            expect(mapping["size"] == 64 << 20 and mapping["offset"] == 0, f"{mapping}")
            expect(mapping["page_size"] == mapping["page_size_kib"] == 4096, f"{mapping}")
            expect(report["served"] >= 64 << 8, f"the whole snapshot wanted each page: {report['served']}")
            with ApiVmm(folder, *NO_LOG, socket_name="again") as vmm:
                load(vmm, folder, "whole-", resume_vm=True)
                wait_for_ticks(vmm, 100)
                expect(b"broken" not in vmm.seen, f"{vmm.seen[-200:]!r}")


@test("page server: a guest that wants few pages is served few")
def _():
    with temporary_folder() as folder:
        make_snapshot(folder)
        with page_server(folder) as server:
            with ApiVmm(folder, *NO_LOG, socket_name="restored") as vmm:
                vmm.api.put("/snapshot/load", **body(folder, server.path, resume_vm=True))
                wait_for_ticks(vmm, 2)
            report = json.loads(server.stdout.readline())
        expect(0 < report["served"] < 64 << 8, f"{report}")


@test("page server: when it dies, while the guest runs or before it serves a page, the microVM ends and says why")
def _():
    with temporary_folder() as folder:
        make_snapshot(folder)
        with page_server(folder) as server, ApiVmm(folder, *NO_LOG, socket_name="restored") as vmm:
            vmm.api.put("/snapshot/load", **body(folder, server.path, resume_vm=True))
            wait_for_ticks(vmm, 2)
            server.kill()
            expect(vmm.wait_end() == 1, "the exit code")
            errors = vmm.errors()
            expect("page fault handler at " in errors, f"{errors!r}")
        path = os.path.join(folder, "silent")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener, ApiVmm(folder, *NO_LOG, socket_name="waiting") as vmm:
            listener.bind(path)
            listener.listen()
            with contextlib.closing(vmm.api.connect()) as request:
                request.request("PUT", "/snapshot/load", json.dumps(body(folder, path, resume_vm=True)))
                with listener.accept()[0] as connection:
                    expect(connection.recv(65536).startswith(b'[{"base_host_virt_addr":'), "the handshake")
                expect(vmm.wait_end() == 1, "the exit code")
                errors = vmm.errors()
                expect("page fault handler at " in errors, f"{errors!r}")


@test("page server: one that is not there is refused, and the process ends")
def _():
    with temporary_folder() as folder:
        make_snapshot(folder)
        for name, pieces in (("nobody", ["no page fault handler at", "nobody"]), ("x" * 200, ["1 to 107 bytes"])):
            with ApiVmm(folder, *NO_LOG, socket_name="refused") as vmm:
                vmm.api.expect_fault_with(["Load snapshot error: ", *pieces], "PUT", "/snapshot/load",
                                          body(folder, os.path.join(folder, name)))
                expect(vmm.wait_end() == 1, "the process ends")
            os.unlink(os.path.join(folder, "refused"))


@test("warm process: loads a snapshot of its shape or of another, and boots")
def _():
    with temporary_folder() as folder:
        for number, (vcpus, memory_mib) in enumerate(((1, 64), (2, 64), (1, 128))):
            place = os.path.join(folder, str(number))
            os.mkdir(place)
            make_snapshot(place, vcpus, memory_mib)
            # It need not open anything elsewhere.
            with ApiVmm(place, *NO_LOG, "--warm", "1,64", "--allow", place, socket_name="warm") as vmm:
                load(vmm, place, resume_vm=True)
                wait_for_ticks(vmm, 100)
                expect(b"broken" not in vmm.seen, f"{vmm.seen[-200:]!r}")
                vmm.api.put("/snapshot/create", **names(place, "again-"), resume_vm=True)
                finish_live_snapshot(vmm)
            shutil.rmtree(place)
        for memory_mib in (64, 128):
            with ApiVmm(folder, *NO_LOG, "--warm", "1,64", socket_name=f"boot{memory_mib}") as vmm:
                start_generations(vmm, folder, 8, 5, memory_mib)
                wait_for_ticks(vmm, 20)
