"""Dynamically linked programs of the host and scripts: found with all they need, and run unmodified."""
import os
import shutil

from harness import (PROGRAMS, expect, expect_refused, expect_same_as_host, run, shoal,
                     temporary_folder, test)

# Debian's, whatever other Python this machine has.
PYTHON = "/usr/bin/python3"
PYTHON_LIBRARY = os.path.realpath(PYTHON).replace("/bin/", "/lib/")
WITH_PYTHON = ["--with", PYTHON_LIBRARY]

LINES = "".join(f"{(number * 7919) % 1000} line {number}\n" for number in range(2000)).encode()


def root_with_data(root):
    os.makedirs(os.path.join(root, "folder/inner"))
    for name in ("data", "folder/one", "folder/inner/two"):
        with open(os.path.join(root, name), "wb") as file:
            file.write(LINES)
        os.utime(os.path.join(root, name), (1_600_000_000, 1_600_000_000))
    os.symlink("folder/one", os.path.join(root, "link"))


def same_on_data(*words):
    with temporary_folder() as root:
        root_with_data(root)
        return expect_same_as_host(*words, stdin=LINES, root=root)


@test("dynamic ls lists files with their owners and times")
def _():
    same_on_data("ls", "-ln", "data", "folder/one", "link")
    same_on_data("/bin/ls", "no-such-file")


@test("dynamic cat, sort, sha256sum and wc")
def _():
    same_on_data("cat", "data", "-")
    same_on_data("sort", "-n")
    same_on_data("sha256sum", "data", "folder/inner/two")
    same_on_data("wc", "data")


@test("dynamic awk, sed, grep and find")
def _():
    same_on_data("awk", "{ sum += $1; n[$1 % 10]++ } END { print sum; for (i in n) print i, n[i] }")
    same_on_data("sed", "-n", "s/line \\(.*\\)5$/<\\1>/p")
    same_on_data("grep", "-nE", "^9[0-9]+ line .*7$", "data")
    same_on_data("find", "folder", "-name", "t*", "-size", "+1k")


@test("dynamic gzip and xz")
def _():
    same_on_data("gzip", "-nc")
    same_on_data("xz", "-c")


@test("dynamic openssl takes digests")
def _():
    same_on_data("openssl", "dgst", "-sha256", "data")
    same_on_data("openssl", "dgst", "-sha3-512", "data")


@test("dynamic perl -e")
def _():
    same_on_data("perl", "-e", "my %n; while (<>) { $n{$1}++ if /(\\d)$/ } "
                 "print map { \"$_ $n{$_}\\n\" } sort keys %n;")


@test("dynamic sqlite3 in memory, on 1 and 2 vCPUs")
def _():
    for vcpus in ("1", "2"):
        expect_same_as_host("sqlite3", ":memory:",
                            "create table t(a integer, b text); insert into t values (1, 'x'), (2, 'y');"
                            "with recursive n(i) as (select 1 union all select i + 1 from n where i < 9999) "
                            "select sum(i), max(i) from n; select * from t order by a desc;",
                            options=["--vcpus", vcpus])


@test("dynamic sqlite3 on a file: transactions, an index, a rollback, and the file is whole")
def _():
    for journal in ("delete", "truncate", "memory"):
        same_on_data("sqlite3", "database", f"pragma journal_mode = {journal};"
                     "create table t(a integer primary key, b text); begin;"
                     "with recursive n(i) as (select 1 union all select i + 1 from n where i < 20000) "
                     "insert into t select i, 'text ' || i * 7919 % 20000 from n; commit; create index i on t(b);"
                     "begin; delete from t where a % 3 = 0; rollback; delete from t where a % 5 = 0; vacuum;"
                     "select count(*), min(b), max(b) from t; pragma integrity_check; pragma page_count;")


@test("python3 -c 'print(1)'")
def _():
    expect_same_as_host(PYTHON, "-c", "print(1)", options=WITH_PYTHON)


@test("python3: json, re, hashlib, sqlite3 in memory")
def _():
    expect_same_as_host(PYTHON, "-c", """
import hashlib, json, re, sqlite3, zlib, struct, datetime, decimal
print(json.dumps({'list': [1, 2.5, None], 'text': 'ä'}, sort_keys=True))
print(re.findall(r'(\\w)(\\d+)', 'a1 b22 c333'), hashlib.sha256(b'x').hexdigest())
table = sqlite3.connect(':memory:')
table.execute('create table t(a, b)')
table.executemany('insert into t values(?, ?)', [(n, n * n) for n in range(1000)])
print(table.execute('select count(*), sum(b) from t').fetchall())
print(zlib.crc32(b'x' * 100000), struct.pack('<IQ', 1, 2), decimal.Decimal(2).sqrt())
""", options=WITH_PYTHON)


@test("python3 ends with the traceback and code of an exception")
def _():
    expect_same_as_host(PYTHON, "-c", "import sys\nsys.exit([][0])", options=WITH_PYTHON)


@test("gcc -v names its target")
def _():
    result = shoal("gcc", "-dumpmachine")
    expect((result.code, result.out) == (0, b"x86_64-linux-gnu\n"), str(result))


@test("a script runs with the interpreter that its first line names")
def _():
    with temporary_folder() as folder:
        path = os.path.join(folder, "script")
        with open(path, "w", encoding="utf-8") as file:
            file.write("#!/usr/bin/perl -w\nprint join('|', @ARGV), \"\\n\";\n")
        os.chmod(path, 0o755)
        expect_same_as_host(path, "one", "two words")


@test("a library is found by $ORIGIN, and its own needs through it")
def _():
    with temporary_folder() as folder:
        program = build_with_library(folder)
        expect_same_as_host(program)
        verbose = shoal(program, options=["--verbose"])
        taken = verbose.err.decode().splitlines()
        expect(verbose.out == b"from the library\n", str(verbose))
        expect(f"shoal: takes {folder}/bin/../lib/libown.so for {program}" in taken, str(verbose))


@test("a missing library is one sentence before anything starts")
def _():
    with temporary_folder() as folder:
        program = build_with_library(folder)
        os.remove(os.path.join(folder, "lib/libown.so"))
        result = shoal(program)
        expect_refused(result, program, "libown.so", program="shoal")
        expect(result.code == 126, str(result))


def build_with_library(folder):
    """A program in bin/ that finds its library in lib/ by DT_RUNPATH."""
    for name in ("bin", "lib"):
        os.mkdir(os.path.join(folder, name))
    library, program = os.path.join(folder, "lib/libown.so"), os.path.join(folder, "bin/program")
    for words, source in (
            (["-shared", "-fPIC", "-o", library],
             '#include <stdio.h>\nvoid say(void) { puts("from the library"); }\n'),
            (["-o", program, "-L" + folder + "/lib", "-Wl,-rpath,$ORIGIN/../lib"],
             "void say(void);\nint main(void) { say(); return 0; }\n")):
        last = ["-lown"] if "-shared" not in words else []
        done = run(["gcc", "-x", "c", "-", *words, *last], stdin=source.encode())
        expect(done.code == 0, f"gcc: {done}")
    return program


@test("--with adds files and folders at their paths, and its sentence names what is missing")
def _():
    with temporary_folder() as folder:
        os.mkdir(os.path.join(folder, "inner"))
        shutil.copy(PROGRAMS / "hello", os.path.join(folder, "inner/data"))
        expect_same_as_host("sha256sum", f"{folder}/inner/data", options=["--with", folder])
    expect_refused(shoal("ls", options=["--with", "/no-such-folder"]), "/no-such-folder",
                   program="shoal")


@test("a program inside --root uses the libraries there")
def _():
    with temporary_folder() as folder, temporary_folder() as root:
        program = build_with_library(folder)
        shutil.copytree(folder, os.path.join(root, "opt"))
        shutil.rmtree(folder + "/lib")
        result = shoal("/opt/bin/program", options=["--root", root])
        expect((result.code, result.out) == (0, b"from the library\n"), str(result))
