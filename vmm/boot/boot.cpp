// Putting a boot together: kernel, initrd, command line, tables.
#include "vmm/boot/boot.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <optional>

#include "devices/abi/address_map.h"
#include "devices/host/check.h"
#include "firmware/acpi.h"
#include "firmware/device_tree.h"
#include "firmware/gdt.h"
#include "firmware/page_tables.h"
#include "firmware/pvh.h"
#include "firmware/zero_page.h"
#include "vmm/boot/bzimage.h"
#include "vmm/boot/command_line.h"
#include "vmm/boot/elf.h"
#include "vmm/boot/image_file.h"
#include "vmm/boot/initrd_map.h"

namespace shoal::boot {
namespace {

// The words that announce the devices.
std::string device_words(std::span<const VirtioMmioSlot> slots) {
    std::string words;
    for (const VirtioMmioSlot& slot : slots) {
        std::array<char, 64> word;
        std::snprintf(word.data(), word.size(), " virtio_mmio.device=%lluK@0x%llx:%u",
                      static_cast<unsigned long long>(slot.size_bytes >> 10),
                      static_cast<unsigned long long>(slot.start.value()), slot.gsi);
        words += word.data();
    }
    return words;
}

void write_command_line(const machine::GuestMemory& memory, const std::string& text) {
    if (text.size() + 1 > abi::command_line_max_bytes) {
        throw BootError("the kernel command line has " + std::to_string(text.size()) +
                        " bytes, devices included; the most is " +
                        std::to_string(abi::command_line_max_bytes - 1));
    }
    SHOAL_CHECK(memory.write_bytes(machine::Gpa{abi::command_line},
                                   std::as_bytes(std::span{text.c_str(), text.size() + 1})));
}

// As high as it fits below the hole, in whole pages, above the kernel.
firmware::InitrdPlace load_initrd(const machine::GuestMemory& memory, const ImageFile& file,
                                  machine::Gpa kernel_end, std::uint64_t highest_end) {
    const std::uint64_t size = file.size_bytes();
    const std::uint64_t end =
        std::min<std::uint64_t>(memory.regions()[0].bytes.size(), highest_end);
    const std::uint64_t room = end > kernel_end.value() ? end - kernel_end.value() : 0;
    const std::uint64_t start = size <= end ? (end - size) & ~(abi::page_size - 1) : 0;
    if (size > room || start < kernel_end.value()) {
        file.fail("of " + std::to_string(size) + " bytes does not fit: the guest's " +
                  std::to_string(memory.size_bytes() >> 20) + " MiB leave " + std::to_string(room) +
                  " bytes beside the kernel");
    }
    file.read_sparse(*memory.slice(machine::Gpa{start}, size));
    return {machine::Gpa{start}, size};
}

struct Kernel {
    EntryPoint entry;
    machine::Gpa end;
    std::uint64_t initrd_end;
    setup_header header;
    std::optional<ReadyTables> ready_tables{};
};

Kernel load_kernel(const machine::GuestMemory& memory, const ImageFile& file) {
    if (is_elf(file)) {
        const ElfKernel elf = load_elf(memory, file);
        if (elf.pvh_entry) {
            return {
                {Protocol::pvh, *elf.pvh_entry, machine::Gpa{abi::pvh_start_info}, elf.other_cpus},
                elf.end,
                abi::ram_hole_start,
                {},
                elf.ready_tables};
        }
        return {{Protocol::linux64, elf.entry, machine::Gpa{abi::zero_page}},
                elf.end,
                abi::ram_hole_start,
                firmware::make_setup_header()};
    }
    if (is_bzimage(file)) {
        const BzImage image = load_bzimage(memory, file);
        return {{Protocol::linux64, image.entry, machine::Gpa{abi::zero_page}},
                image.end,
                image.initrd_end,
                image.header};
    }
    file.fail("is neither an ELF file nor a bzImage");
}

}  // namespace

EntryPoint load(const machine::GuestMemory& memory, const BootSource& source,
                const MachineLayout& layout) {
    const std::string command_line = with_words(source.command_line, device_words(layout.virtio));
    write_command_line(memory, command_line);
    const Kernel kernel = load_kernel(memory, *source.kernel);
    if (const auto& cpus = kernel.entry.other_cpus) {
        static_cast<void>(memory.write(cpus->count, std::uint32_t{layout.vcpu_count}));
    }
    std::optional<firmware::InitrdPlace> initrd;
    if (source.initrd != nullptr) {
        initrd = load_initrd(memory, *source.initrd, kernel.end, kernel.initrd_end);
        if (source.initrd_map != nullptr) {
            source.initrd_map->apply(memory, initrd->start, initrd->size_bytes);
            source.initrd_map->fill_tables(memory, kernel.ready_tables, initrd->start,
                                           initrd->size_bytes);
        }
    }
    const machine::Gpa rsdp = firmware::write_acpi_tables(memory, layout);
    const std::uint32_t tree_bytes =
        firmware::write_device_tree(memory, layout, command_line, initrd);
    switch (kernel.entry.protocol) {
        case Protocol::pvh:
            firmware::write_pvh_start_info(memory, machine::Gpa{abi::command_line}, initrd, rsdp);
            break;
        case Protocol::linux64:
            firmware::write_gdt(memory);
            firmware::write_page_tables(memory);
            firmware::write_zero_page(
                memory, {kernel.header, static_cast<std::uint32_t>(command_line.size()), initrd,
                         rsdp, tree_bytes});
            break;
    }
    return kernel.entry;
}

}  // namespace shoal::boot
