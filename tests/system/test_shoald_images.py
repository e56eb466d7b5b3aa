"""shoald: images, imported from OCI layouts that umoci makes, and microVMs whose root they are."""
import hashlib
import io
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tarfile

from daemon import FINAL, Daemon
from harness import BUSYBOX, ENVIRONMENT, ROOT, SHOAL, expect, run, temporary_folder, test

MIB = 1 << 20


def umoci(*words, cwd=None):
    result = run(["umoci", *words], cwd=cwd)
    expect(result.code == 0, f"umoci {words}: {result}")


def make_layout(folder, *config, name="layout", tag="latest", more=None):
    """An OCI layout with busybox, and what `more` puts into its root; its path."""
    root = pathlib.Path(folder) / f"{name}-root"
    (root / "bin").mkdir(parents=True)
    (root / "srv").mkdir()
    shutil.copy(BUSYBOX, root / "bin/busybox")
    (root / "bin/sh").symlink_to("busybox")
    (root / "srv/greeting").write_text("from the image\n")
    if more:
        more(root)
    layout = pathlib.Path(folder) / name
    umoci("init", "--layout", str(layout))
    umoci("new", "--image", f"{layout}:{tag}")
    umoci("insert", "--image", f"{layout}:{tag}", str(root), "/")
    if config:
        umoci("config", "--image", f"{layout}:{tag}", *config)
    return layout


SHELL = ("--config.entrypoint", "/bin/busybox", "--config.cmd", "sh", "--config.cmd", "-c", "--config.cmd",
         "echo $WHO $HOME $PWD; busybox cat greeting", "--config.env", "WHO=image", "--config.env",
         "PATH=/bin", "--config.workingdir", "/srv")


def add(daemon, source, name="i", transport="oci"):
    return daemon.done("POST", "/v1/images", {"name": name, "from": f"{transport}:{source}"})


def folders(daemon):
    return sorted(os.listdir(daemon.state_dir / "images"))


def finish(daemon, name="m", **spec):
    """What a microVM says until it has ended, and its exit code."""
    daemon.done("POST", "/v1/microvms", {"name": name, "memory_mib": 32, **spec})
    ended = daemon.wait_phase(name, *FINAL)
    return daemon.log(name), ended["status"]["exit_code"]


@test("shoald: an OCI image is imported once, and microVMs run what it says, or what they say")
def lifecycle():
    with temporary_folder() as folder, Daemon(folder) as daemon:
        layout = make_layout(folder, *SHELL)
        image = add(daemon, layout)
        digest = image["spec"]["digest"]
        expect(image["spec"]["entrypoint"] == ["/bin/busybox"] and image["spec"]["working_directory"] == "/srv", f"{image}")
        expect(folders(daemon) == [digest], f"{folders(daemon)}")
        root = daemon.state_dir / "images" / digest / "root.erofs"
        expect(run(["sha256sum", root]).out.split()[0].decode() == digest, "the digest is the file's SHA-256")
        expect(os.listdir(root.parent) == ["root.erofs"], "nothing else is kept")
        expect(add(daemon, layout, "again")["spec"]["digest"] == digest, "the same image is the same file")
        shutil.rmtree(layout)
        expect(finish(daemon, "a", image="i") == (b"image / /srv\nfrom the image\n", 0), f"{daemon.log('a')}")
        said = finish(daemon, "b", image="i", environment=["WHO=me"], arguments=["sh", "-c", "echo $WHO; exit 3"])
        expect(said == (b"me\n", 3), f"{said}")
        daemon.done("POST", "/v1/groups", {"name": "g", "count": 2, "microvm": {
            "image": "i", "memory_mib": 32, "arguments": ["sleep", "1000"]}})
        daemon.wait(lambda: daemon.done("GET", "/v1/groups/g")["members"]["running"] == 2, "the group")
        expect("image i is in use by " in daemon.refused(409, "DELETE", "/v1/images/i"), "who uses it")
        daemon.done("DELETE", "/v1/groups/g")
        daemon.wait(lambda: not [item for item in daemon.list() if item["spec"]["group"]], "its members to go")
        daemon.done("DELETE", "/v1/images/i")
        expect(folders(daemon) == [digest], "the other image has the same file")
        daemon.done("DELETE", "/v1/images/again")
        expect(folders(daemon) == [], f"left behind: {folders(daemon)}")


@test("shoald: an image of python3 with its libraries, and one of an EROFS file, run to their end")
def others():
    def add_python(root):
        for path in [*run(["sh", "-c", "ldd /usr/bin/python3 | grep -o '/[^ ]*'"]).out.decode().split(), "/usr/bin/python3"]:
            (root / path[1:]).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, root / path[1:])
        shutil.copytree("/usr/lib/python3.11", root / "usr/lib/python3.11", symlinks=True,
                        ignore=shutil.ignore_patterns("__pycache__", "dist-packages", "test", "config-*"))

    with temporary_folder() as folder, Daemon(folder) as daemon:
        layout = make_layout(folder, "--config.entrypoint", "python3", "--config.entrypoint=-c", "--config.cmd",
                             "import json, sys; print(json.dumps(sys.version_info[:2]))", more=add_python)
        archive = os.path.join(folder, "archive.tar")
        copied = run(["skopeo", "copy", "--quiet", f"oci:{layout}", f"docker-archive:{archive}"])
        expect(copied.code == 0, f"{copied}")
        add(daemon, archive, "python", "docker-archive")
        expect(finish(daemon, "p", image="python", memory_mib=128) == (b"[3, 11]\n", 0), f"{daemon.log('p')}")
        erofs = os.path.join(folder, "file.erofs")
        run(["mkfs.erofs", "--quiet", erofs, pathlib.Path(folder) / "layout-root"])
        add(daemon, erofs, "file", "erofs")
        detail = daemon.refused(422, "POST", "/v1/microvms", {"image": "file"})
        expect(detail == "image file does not say what to run: microvm.arguments must", detail)
        expect(finish(daemon, "f", image="file", arguments=["busybox", "cat", "/srv/greeting"]) ==
               (b"from the image\n", 0), f"{daemon.log('f')}")


def make_hostile(folder, name, members):
    """A layout whose second layer has these members: (TarInfo, bytes)."""
    layout = make_layout(folder, *SHELL, name=name)
    layer = os.path.join(folder, f"{name}.tar")
    with tarfile.open(layer, "w") as tar:
        for member, content in members:
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    umoci("raw", "add-layer", "--image", f"{layout}:latest", layer)
    return layout


def member(name, kind=tarfile.REGTYPE, target=""):
    made = tarfile.TarInfo(name)
    made.type, made.linkname = kind, target
    return made


@test("shoald: commands are run in a microVM of an image, whose program is found by its PATH")
def runs_commands():
    with temporary_folder() as folder, Daemon(folder) as daemon:
        add(daemon, make_layout(folder, *SHELL))
        daemon.done("POST", "/v1/microvms", {"name": "e", "image": "i", "exec": True, "memory_mib": 64,
                                             "arguments": ["sh", "-c", "echo up; busybox sleep 1000"]})
        daemon.wait(lambda: daemon.log("e") == b"up\n", "its program")
        result = run([SHOAL, "exec", "e", "--", "busybox", "sh", "-c", "pwd; busybox cat greeting; exit 5"],
                     env={**os.environ, "SHOAL_SOCKET": str(daemon.socket)})
        expect((result.code, result.out, result.err) == (5, b"/srv\nfrom the image\n", b""), f"{result}")


@test("shoald: what is wrong with an image is said, it reaches no other files, and nothing is left of it")
def refused():
    with temporary_folder() as folder, Daemon(folder) as daemon:
        outside = pathlib.Path(folder) / "outside"
        outside.mkdir()
        (outside / "secret").write_text("secret")
        above = "../" * 20 + str(outside)[1:]

        def detail_of(source, transport="oci"):
            return daemon.refused(422, "POST", "/v1/images", {"name": "i", "from": f"{transport}:{source}"})

        expect("no such file or directory" in detail_of(f"{folder}/none"), "no layout")
        hard = make_hostile(folder, "hard", [(member("stolen", tarfile.LNKTYPE, f"{above}/secret"), b"")])
        expect("no such file or directory" in detail_of(hard), "a hard link to a file of the host")
        damaged = make_layout(folder, *SHELL, name="damaged")
        largest = max((damaged / "blobs/sha256").iterdir(), key=lambda path: path.stat().st_size)
        with open(largest, "r+b") as file:
            file.seek(5000)
            file.write(b"not what it was")
        detail = detail_of(damaged)
        expect("digest" in detail.lower() or "verif" in detail.lower(), detail)
        other = make_layout(folder, "--architecture", "arm64", name="arm")
        detail = detail_of(other)
        expect("amd64" in detail, detail)
        text = os.path.join(folder, "text")
        pathlib.Path(text).write_bytes(b"text" * 1000)
        expect("no EROFS file system" in detail_of(text, "erofs"), "no EROFS")
        expect("is no file" in detail_of(folder, "erofs"), "a folder")
        for source in ("redis", "oci:relative", "dir:/x", ""):
            detail = daemon.refused(400, "POST", "/v1/images", {"name": "i", "from": source})
            expect(detail.startswith("image.from"), detail)
        expect("there is no image i" in daemon.refused(422, "POST", "/v1/microvms", {"image": "i"}), "no image")
        expect("both program and image" in daemon.refused(400, "POST", "/v1/microvms", {"image": "i", "program": "x"}), "both")
        expect(folders(daemon) == [], f"left behind: {folders(daemon)}")
        escaping = make_hostile(folder, "escaping", [
            (member(f"{above}/escaped"), b"bad"), (member("link", tarfile.SYMTYPE, str(outside)), b""),
            (member("link/through"), b"bad"), (member("srv/greeting"), b"new\n")])
        add(daemon, escaping)
        expect(sorted(os.listdir(outside)) == ["secret"], f"it has written {os.listdir(outside)}")
        said = finish(daemon, "m", image="i")
        expect(said == (b"image / /srv\nnew\n", 0), f"{said}")


@test("shoald: killed while it imports, it leaves nothing, and what was imported runs")
def killed():
    with temporary_folder() as folder, Daemon(folder) as daemon:
        add(daemon, make_layout(folder, *SHELL), "whole")

        def add_bulk(root):
            (root / "bulk").write_bytes(os.urandom(100 * MIB))

        layout = make_layout(folder, *SHELL, name="bulk", more=add_bulk)
        images = daemon.state_dir / "images"

        def stop_at(step):
            """The command, while shoald stands still with this on the disk."""
            while True:
                request = subprocess.Popen([SHOAL, "image", "import", "--socket", daemon.socket, f"oci:{layout}"],
                                           env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                daemon.wait(lambda: list(images.glob(f".partial-*/{step}")) or request.poll() is not None,
                            f"the import to come to {step}")
                daemon.process.send_signal(signal.SIGSTOP)
                if list(images.glob(f".partial-*/{step}")):
                    return request
                daemon.process.send_signal(signal.SIGCONT)
                expect(request.wait() == 0, "the import was too fast, and failed")
                daemon.done("DELETE", "/v1/images/bulk")

        for step in ("layout", "bundle", "root.erofs"):
            request = stop_at(step)
            daemon.kill()
            expect(request.wait() == 125, "the command says that shoald is gone")

            def importers():
                found = []
                for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
                    try:
                        words = path.read_bytes()
                    except OSError:
                        continue
                    if str(images).encode() in words and b"shoald" not in words:
                        found.append(words)
                return found

            daemon.wait(lambda: not importers(), "the programs to end with shoald")
            expect(len(list(images.glob(".partial-*"))) == 1, f"{folders(daemon)}")
            daemon.start()
            expect(len(folders(daemon)) == 1 and not list(images.glob(".partial-*")), f"{folders(daemon)}")
        expect(finish(daemon, "m", image="whole")[1] == 0, "the image from before")
        expect(len(daemon.done("GET", "/v1/images")["items"]) == 1, "a half image is in the store")


@test("shoal image import: an image by the command line, its name, its table and its sentence")
def command_line():
    with temporary_folder() as folder, Daemon(folder) as daemon:
        layout = make_layout(folder, *SHELL, name="Web_App", tag="v2")

        def shoal(*words, **more):
            return run([SHOAL, *words], env={**ENVIRONMENT, "SHOAL_SOCKET": str(daemon.socket)}, **more)

        made = shoal("image", "import", "oci:Web_App:v2", cwd=folder)
        digest = daemon.done("GET", "/v1/images/web-app")["spec"]["digest"]
        expect(made.out.startswith(f"image web-app imported, sha256:{digest}, ".encode()), f"{made}")
        listed = shoal("get", "images").out.split()
        expect(listed[:5] == [b"NAME", b"BYTES", b"HOSTS", b"DIGEST", b"FROM"], f"{listed}")
        expect(listed[-1] == f"oci:{layout}:v2".encode(), f"{listed}")
        expect(made.err == b"", f"{made}")
        umoci("config", "--image", f"{layout}:v2", "--tag", "user", "--config.user", "1000:1000")
        other = shoal("image", "import", "oci:Web_App:user", "--name", "other", cwd=folder)
        sentence = b"shoal: image other is made for user 1000:1000, but its program is root: the unikernel has no other users\n"
        expect((other.code, other.err) == (0, sentence), f"{other}")
        again = shoal("image", "import", "oci:Web_App:v2", cwd=folder)
        expect((again.code, again.err) == (1, b"shoal: there is already the image web-app\n"), f"{again}")
        missing = shoal("image", "import", "oci:none", "--name", "x", cwd=folder)
        expect(missing.code == 1 and missing.err.startswith(b"shoal: the image cannot be made: "), f"{missing}")
        manifest = json.dumps({"kind": "image", "spec": {"name": "by-file", "from": f"oci:{layout}:v2"}})
        path = pathlib.Path(folder) / "image.json"
        path.write_text(manifest)
        expect(shoal("apply", "-f", path).out == b"image by-file created\n", "of a manifest")
        expect(shoal("delete", "image", "by-file").code == 0, "deleted")


@test("shoald: kernels are looked at before they are taken, and are no roots of microVMs", needs_kvm=False)
def kernels():
    with temporary_folder() as folder, Daemon(folder) as daemon:
        kernel = ROOT / "build/guest/shoal.elf"
        made = add(daemon, kernel, "k", "kernel")["spec"]
        expect((made["kind"], made["cmdline"]) == ("kernel", "console=ttyS0 reboot=t panic=-1"), f"{made}")
        expect(made["digest"] == hashlib.sha256(kernel.read_bytes()).hexdigest(), "the digest is the file's SHA-256")
        cut = pathlib.Path(folder) / "cut"
        cut.write_bytes(kernel.read_bytes()[:10000])

        def refused(source, transport="kernel", status=422, **more):
            return daemon.refused(status, "POST", "/v1/images", {"name": "x", "from": f"{transport}:{source}", **more})

        expect(f"{ROOT}/LICENSE is neither an ELF file nor a bzImage" in refused(ROOT / "LICENSE"), "a text")
        expect(f"{cut} is truncated" in refused(cut), refused(cut))
        expect("image.cmdline is a kernel's" in refused(kernel, "initramfs", 400, cmdline="quiet"), "an initramfs has no words")
        expect(folders(daemon) == [made["digest"]], f"{folders(daemon)}")
        detail = daemon.refused(422, "POST", "/v1/microvms", {"image": "k", "arguments": ["sh"]})
        expect(detail == "image k is a kernel: microvm.image must be a root", detail)
        daemon.done("DELETE", "/v1/images/k")
        expect(folders(daemon) == [], f"{folders(daemon)}")


@test("shoald: it ends at once while it imports, and so do the programs")
def ended():
    with temporary_folder() as folder:
        pipe = os.path.join(folder, "pipe")
        os.mkfifo(pipe)  # which skopeo waits for
        with Daemon(folder) as daemon:
            request = subprocess.Popen([SHOAL, "image", "import", "--socket", daemon.socket, f"docker-archive:{pipe}"],
                                       env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            daemon.wait(lambda: list((daemon.state_dir / "images").glob(".partial-*")), "the import to begin")
            daemon.process.send_signal(signal.SIGTERM)
            expect(daemon.process.wait(timeout=10) == 0, "it ends")
            expect(request.wait() == 125, "the command says so")
            daemon.process.stderr.close()
            daemon.start()
            expect(folders(daemon) == [], f"left behind: {folders(daemon)}")


@test("shoald: an image for which there is no room is refused with 507, and shoald goes on", needs_kvm=False)
def _():
    with temporary_folder() as folder:
        images = pathlib.Path(folder) / "state/images"
        # The folder's own inode is all that there is.
        mount = f'mkdir -p {images} && mount -t tmpfs -o nr_inodes=1 tmpfs {images} && exec "$0" "$@"'
        with Daemon(folder, within=("unshare", "--mount", "sh", "-c", mount)) as daemon:
            for _ in range(2):
                detail = daemon.refused(507, "POST", "/v1/images", {"name": "i", "from": "oci:/nowhere:latest"})
                expect("No space left" in detail, detail)
            expect(daemon.done("GET", "/v1/images")["items"] == [], "an image")
