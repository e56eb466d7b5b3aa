"""The rate of this CPU's time-stamp counter, which QEMU gives the emulated CPU as it is."""
import ctypes
import mmap
import time

# rdtsc; shl rdx, 32; or rax, rdx; ret
CODE = bytes.fromhex("0f31 48c1e220 4809d0 c3")
INTERVAL_S = 0.05
TRIES = 20


def _moment(read_tsc):
    """The counter and the clock in ns at one moment: of several tries the one that took the shortest time."""
    best = None
    for _ in range(TRIES):
        before = time.monotonic_ns()
        tsc = read_tsc()
        after = time.monotonic_ns()
        if best is None or after - before < best[0]:
            best = after - before, tsc, (before + after) // 2
    return best[1:]


def tsc_khz():
    with mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC) as code:
        code.write(CODE)
        start = ctypes.c_char.from_buffer(code)
        read_tsc = ctypes.CFUNCTYPE(ctypes.c_uint64)(ctypes.addressof(start))
        first_tsc, first_ns = _moment(read_tsc)
        time.sleep(INTERVAL_S)
        last_tsc, last_ns = _moment(read_tsc)
        del start  # else the mapping cannot be closed
    return (last_tsc - first_tsc) * 1_000_000 // (last_ns - first_ns)
