// Prints where a static program's stack, mappings, large mappings and vDSO lie, one per line.
#include <stdio.h>
#include <sys/auxv.h>
#include <sys/mman.h>

int main(void) {
    int here = 0;
    void* small = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    void* large = mmap(NULL, 8 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    printf("stack %p\nmapping %p\nlarge mapping %p\nvdso %#lx\n", (void*)&here, small, large, getauxval(AT_SYSINFO_EHDR));
    return 0;
}
