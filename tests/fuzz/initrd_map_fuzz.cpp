// Fuzzes the list of what is mapped into an initrd: it is followed or refused with BootError, and
// tables that are filled lie within the guest's memory. The files it names are not opened.
#include "tests/fuzz/image.h"
#include "vmm/boot/initrd_map.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace shoal;
    static fuzz::InputFile input;
    input.set(data, size);
    constexpr std::uint64_t page = 4096;
    const boot::ReadyTables place{machine::Gpa{page}, 0x20000, machine::Gpa{0x800}};
    const machine::GuestMemory& memory = fuzz::guest_memory();
    const std::uint64_t end = memory.size_bytes() - 4 * page;
    try {
        const boot::InitrdMap map{input.path()};
        map.fill_tables(memory, place, machine::Gpa{end}, 4 * page);
    } catch (const boot::BootError&) {
    }
    return 0;
}
