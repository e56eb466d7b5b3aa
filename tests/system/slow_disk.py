"""A disk that takes long to flush: strace(1) holds up the process's calls for it."""
import os
import pathlib
import subprocess

from harness import Failure, run


def why_no_slow_disk():
    """None, or the reason why there can be none here."""
    return None if run(["strace", "-V"]).code == 0 else "strace is needed"


class SlowDisk:
    """`with SlowDisk(pid, 0.5):` each flush that this process begins takes half a second longer."""

    def __init__(self, pid, delay_s):
        # Its threads as they are: what it starts is another process's business.
        threads = [word for thread in pathlib.Path(f"/proc/{pid}/task").iterdir() for word in ("-p", thread.name)]
        self.process = subprocess.Popen(
            ["strace", "-q", "-o", "/dev/null", "-e", "trace=fsync,fdatasync", "-e",
             f"inject=fsync,fdatasync:delay_enter={round(delay_s * 1e6)}", *threads], stderr=subprocess.PIPE)
        self.traced = pathlib.Path(f"/proc/{pid}/task")
        self.wait()

    def wait(self):
        """Until it holds all threads."""
        while any(f"TracerPid:\t{self.process.pid}" not in (thread / "status").read_text()
                  for thread in self.traced.iterdir()):
            if self.process.poll() is not None:
                raise Failure(f"strace: {self.process.stderr.read()!r}")
            os.sched_yield()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()  # it lets go of them
        self.process.wait()
        self.process.stderr.close()
