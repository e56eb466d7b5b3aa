"""The calls that make and load the snapshot of a folder."""
import os


def names(folder, name=""):
    return {"snapshot_path": os.path.join(folder, name + "state"), "mem_file_path": os.path.join(folder, name + "memory")}


def load(vmm, folder, name="", **more):
    paths = names(folder, name)
    vmm.api.put("/snapshot/load", snapshot_path=paths["snapshot_path"],
                mem_backend={"backend_type": "File", "backend_path": paths["mem_file_path"]}, **more)
