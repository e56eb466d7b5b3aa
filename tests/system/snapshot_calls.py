"""The calls that make and load the snapshot of a folder."""
import os
import time

from harness import TIME_SCALE, expect


def names(folder, name=""):
    return {"snapshot_path": os.path.join(folder, name + "state"), "mem_file_path": os.path.join(folder, name + "memory")}


def load(vmm, folder, name="", **more):
    paths = names(folder, name)
    vmm.api.put("/snapshot/load", snapshot_path=paths["snapshot_path"],
                mem_backend={"backend_type": "File", "backend_path": paths["mem_file_path"]}, **more)


def finish_live_snapshot(vmm):
    """How long the guest stood still, in microseconds, once the files are there."""
    deadline = time.monotonic() + 30 * TIME_SCALE
    while (progress := vmm.api.get("/snapshot/create"))["state"] == "Writing":
        expect(time.monotonic() < deadline, "it never gets ready")
        time.sleep(0.001 * TIME_SCALE)
    expect(progress["state"] == "Done", f"{progress}")
    return progress["pause_us"]
