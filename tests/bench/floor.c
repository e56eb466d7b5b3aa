// The least that any VMM on KVM has to do: a VM, memory, an interrupt controller, one vCPU in long
// mode, and one exit. Prints the microseconds from KVM_CREATE_VM to that exit. `floor COUNT` makes
// so many, says when all are there, and keeps them until its stdin ends.
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum {
    memory_size = 2 << 20,
    pml4 = 0x1000,
    pdpt = 0x2000,
    pd = 0x3000,
    code = 0x4000,
    cpuid_entries = 256
};

static double now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static int check(int result, const char* what) {
    if (result < 0) {
        fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
        exit(1);
    }
    return result;
}

static void* map(size_t size, int flags, int fd) {
    void* at = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, fd, 0);
    if (at == MAP_FAILED) {
        fprintf(stderr, "floor: mmap: %s\n", strerror(errno));
        exit(1);
    }
    return at;
}

static void enter_long_mode(struct kvm_sregs* s) {
    s->cr0 = 0x80050033;
    s->cr3 = pml4;
    s->cr4 = 0x620;
    s->efer = 0x500;
    const struct kvm_segment flat = {.limit = 0xFFFFFFFF, .present = 1, .s = 1, .g = 1};
    s->cs = flat;
    s->cs.selector = 0x10;
    s->cs.type = 11;
    s->cs.l = 1;
    s->ds = flat;
    s->ds.selector = 0x18;
    s->ds.type = 3;
    s->ds.db = 1;
    s->es = s->fs = s->gs = s->ss = s->ds;
    s->tr = (struct kvm_segment){.limit = 0x67, .type = 11, .present = 1, .selector = 0x40};
}

static double run_one(int kvm) {
    const double start = now_us();
    const int vm = check(ioctl(kvm, KVM_CREATE_VM, 0UL), "KVM_CREATE_VM");
    unsigned char* memory = map(memory_size, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1);
    const struct kvm_userspace_memory_region region = {.memory_size = memory_size,
                                                       .userspace_addr = (uintptr_t)memory};
    check(ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region), "KVM_SET_USER_MEMORY_REGION");
    check(ioctl(vm, KVM_CREATE_IRQCHIP, 0UL), "KVM_CREATE_IRQCHIP");
    const int vcpu = check(ioctl(vm, KVM_CREATE_VCPU, 0UL), "KVM_CREATE_VCPU");
    const int run_size = check(ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0UL), "KVM_GET_VCPU_MMAP_SIZE");
    struct kvm_run* run = map((size_t)run_size, MAP_SHARED, vcpu);

    struct kvm_cpuid2* cpuid =
        calloc(1, sizeof *cpuid + cpuid_entries * sizeof(struct kvm_cpuid_entry2));
    cpuid->nent = cpuid_entries;
    check(ioctl(kvm, KVM_GET_SUPPORTED_CPUID, cpuid), "KVM_GET_SUPPORTED_CPUID");
    check(ioctl(vcpu, KVM_SET_CPUID2, cpuid), "KVM_SET_CPUID2");
    free(cpuid);

    *(uint64_t*)(memory + pml4) = pdpt | 3;
    *(uint64_t*)(memory + pdpt) = pd | 3;
    *(uint64_t*)(memory + pd) = 0x83;          // 2 MiB from 0
    memcpy(memory + code, "\xe6\x10\xf4", 3);  // out 0x10, al; hlt
    struct kvm_sregs sregs;
    check(ioctl(vcpu, KVM_GET_SREGS, &sregs), "KVM_GET_SREGS");
    enter_long_mode(&sregs);
    check(ioctl(vcpu, KVM_SET_SREGS, &sregs), "KVM_SET_SREGS");
    const struct kvm_regs regs = {.rip = code, .rsp = 0x8000, .rflags = 2};
    check(ioctl(vcpu, KVM_SET_REGS, &regs), "KVM_SET_REGS");
    check(ioctl(vcpu, KVM_RUN, 0UL), "KVM_RUN");
    const double end = now_us();
    if (run->exit_reason != KVM_EXIT_IO) {
        fprintf(stderr, "floor: exit %u instead of port I/O\n", run->exit_reason);
        exit(1);
    }
    return end - start;
}

static void hold(int kvm, int count) {
    struct rlimit files;
    check(getrlimit(RLIMIT_NOFILE, &files), "getrlimit");
    files.rlim_cur = files.rlim_max;
    check(setrlimit(RLIMIT_NOFILE, &files), "setrlimit");
    for (int idx = 0; idx < count; ++idx) {
        run_one(kvm);
    }
    puts("all are there");
    fflush(stdout);
    char byte;
    while (read(0, &byte, 1) > 0) {
    }
}

int main(int argc, char** argv) {
    const int kvm = check(open("/dev/kvm", O_RDWR | O_CLOEXEC), "/dev/kvm");
    if (argc > 1) {
        hold(kvm, atoi(argv[1]));
    } else {
        printf("%.1f\n", run_one(kvm));
    }
    return 0;
}
