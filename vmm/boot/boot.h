// Boot: puts kernel, initrd, command line and tables into guest memory, and says where the first
// vCPU begins.
//
// Two protocols: PVH for ELF kernels that carry its note (Xen's x86/HVM direct boot ABI), and
// Linux's 64-bit boot protocol (Documentation/arch/x86/boot.rst) for other ELF kernels and bzImage.
#pragma once

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>

#include "devices/machine/gpa.h"
#include "devices/machine/guest_memory.h"
#include "firmware/machine_layout.h"

namespace shoal::boot {

// One sentence that names the file and the number.
class BootError : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

class ImageFile;
class InitrdMap;

// Borrows the files.
struct BootSource {
    const ImageFile* kernel = nullptr;  // never nullptr in load()
    const ImageFile* initrd = nullptr;  // nullptr: none
    std::string command_line;
    const InitrdMap* initrd_map = nullptr;  // files that lie in the initrd's holes; nullptr: none
};

using firmware::MachineLayout;
using firmware::VirtioMmioSlot;

enum class Protocol {
    pvh,      // 32-bit protected mode, no paging, ebx: boot_info is hvm_start_info
    linux64,  // long mode, identity-mapped, rsi: boot_info is the zero page
};

// What the note of owner "Shoal", type 1, says: vCPUs but the first start in 64-bit mode at the
// virtual address `entry`, on these page tables, with their index in rdi. Three 64-bit words.
struct OtherCpus {
    std::uint64_t entry = 0;
    machine::Gpa page_tables;
    machine::Gpa count;  // where the kernel finds how many vCPUs start, 32 bits
};

// What the note of type 2 says: devices/abi/ready_tables.h.
struct ReadyTables {
    machine::Gpa start;
    std::uint64_t most_bytes = 0;
    machine::Gpa end_at;
};

struct EntryPoint {
    Protocol protocol = Protocol::pvh;
    machine::Gpa entry;
    machine::Gpa boot_info;
    std::optional<OtherCpus> other_cpus{};  // where vCPUs but the first begin; without: by SIPI
};

// Throws BootError, and std::system_error when the host cannot read a file.
[[nodiscard]] EntryPoint load(const machine::GuestMemory& memory, const BootSource& source,
                              const MachineLayout& layout);

}  // namespace shoal::boot
