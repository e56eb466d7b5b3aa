// Writing the device tree with libfdt, straight into guest memory.
#include "firmware/device_tree.h"

#include <libfdt.h>

#include <array>
#include <bit>
#include <cstdio>
#include <vector>

#include "devices/abi/address_map.h"
#include "devices/host/check.h"

namespace shoal::firmware {
namespace {

constexpr std::uint32_t interrupt_controller_handle = 1;

// libfdt's sequential writer. Its only failure here is a buffer that is too small: our bug.
class TreeWriter {
public:
    explicit TreeWriter(std::span<std::byte> buffer) : tree_{buffer.data()} {
        check(fdt_create(tree_, static_cast<int>(buffer.size())));
        check(fdt_finish_reservemap(tree_));
    }

    void begin(const std::string& name) { check(fdt_begin_node(tree_, name.c_str())); }
    void begin(const char* name, std::uint64_t address) {
        std::array<char, 64> full;
        std::snprintf(full.data(), full.size(), "%s@%llx", name,
                      static_cast<unsigned long long>(address));
        begin(full.data());
    }
    void end() { check(fdt_end_node(tree_)); }
    void text(const char* name, const std::string& value) {
        check(fdt_property(tree_, name, value.c_str(), static_cast<int>(value.size() + 1)));
    }
    void flag(const char* name) { check(fdt_property(tree_, name, nullptr, 0)); }
    void number(const char* name, std::uint32_t value) {
        check(fdt_property_u32(tree_, name, value));
    }
    void cells64(const char* name, std::initializer_list<std::uint64_t> values) {
        std::vector<std::uint64_t> cells;
        for (const std::uint64_t value : values) {
            cells.push_back(std::endian::native == std::endian::little ? __builtin_bswap64(value)
                                                                       : value);
        }
        check(fdt_property(tree_, name, cells.data(),
                           static_cast<int>(cells.size() * sizeof(std::uint64_t))));
    }
    // An ISA port range: space 1, first port, count.
    void port_range(std::uint32_t start, std::uint32_t count) {
        const std::array<fdt32_t, 3> cells{cpu_to_fdt32(1), cpu_to_fdt32(start),
                                           cpu_to_fdt32(count)};
        check(fdt_property(tree_, "reg", cells.data(), static_cast<int>(sizeof cells)));
    }
    void interrupt(std::uint32_t gsi) {
        constexpr std::uint32_t edge_rising = 1;
        const std::array<fdt32_t, 2> cells{cpu_to_fdt32(gsi), cpu_to_fdt32(edge_rising)};
        check(fdt_property(tree_, "interrupts", cells.data(), static_cast<int>(sizeof cells)));
    }
    std::uint32_t finish() {
        check(fdt_finish(tree_));
        return fdt_totalsize(tree_);
    }

private:
    static void check(int error) { SHOAL_CHECK(error == 0); }

    void* tree_;
};

void add_cpus(TreeWriter& tree, std::uint32_t count) {
    tree.begin("cpus");
    tree.number("#address-cells", 1);
    tree.number("#size-cells", 0);
    for (std::uint32_t idx = 0; idx < count; ++idx) {
        tree.begin("cpu", idx);
        tree.text("device_type", "cpu");
        tree.number("reg", idx);
        tree.end();
    }
    tree.end();
}

void add_memory(TreeWriter& tree, const machine::GuestMemory& memory) {
    for (const machine::RamRegion& region : memory.regions()) {
        tree.begin("memory", region.start.value());
        tree.text("device_type", "memory");
        tree.cells64("reg", {region.start.value(), region.bytes.size()});
        tree.end();
    }
}

void add_chosen(TreeWriter& tree, const std::string& command_line,
                const std::optional<InitrdPlace>& initrd) {
    tree.begin("chosen");
    tree.text("bootargs", command_line);
    if (initrd) {
        const std::uint64_t start = initrd->start.value();
        tree.cells64("linux,initrd-start", {start});
        tree.cells64("linux,initrd-end", {start + initrd->size_bytes});
    }
    tree.end();
}

void add_devices(TreeWriter& tree, const MachineLayout& layout) {
    tree.begin("interrupt-controller", abi::ioapic_start);
    tree.text("compatible", "intel,ce4100-ioapic");
    tree.flag("interrupt-controller");
    tree.number("#interrupt-cells", 2);
    tree.number("phandle", interrupt_controller_handle);
    tree.cells64("reg", {abi::ioapic_start, abi::page_size});
    tree.end();
    for (const VirtioMmioSlot& slot : layout.virtio) {
        tree.begin("virtio_mmio", slot.start.value());
        tree.text("compatible", "virtio,mmio");
        tree.cells64("reg", {slot.start.value(), slot.size_bytes});
        tree.interrupt(slot.gsi);
        tree.flag("dma-coherent");
        tree.end();
    }
    // Ports are an address space of their own: its child addresses are marked with a 1.
    tree.begin("isa");
    tree.text("compatible", "isa");
    tree.number("#address-cells", 2);
    tree.number("#size-cells", 1);
    tree.flag("ranges");
    tree.begin("serial@1,3f8");
    tree.text("compatible", "ns16550a");
    tree.port_range(abi::serial_port, 8);
    tree.number("clock-frequency", 1'843'200);
    tree.interrupt(abi::serial_gsi);
    tree.end();
    tree.end();
}

}  // namespace

std::uint32_t write_device_tree(const machine::GuestMemory& memory, const MachineLayout& layout,
                                const std::string& command_line,
                                const std::optional<InitrdPlace>& initrd) {
    const auto room = memory.slice(machine::Gpa{abi::device_tree}, abi::device_tree_max_bytes);
    SHOAL_CHECK(room);
    TreeWriter tree{*room};
    tree.begin("");
    tree.text("compatible", "shoal,microvm");
    tree.text("model", "Shoal microVM");
    tree.number("#address-cells", 2);
    tree.number("#size-cells", 2);
    tree.number("interrupt-parent", interrupt_controller_handle);
    add_cpus(tree, layout.vcpu_count);
    add_memory(tree, memory);
    add_chosen(tree, command_line, initrd);
    add_devices(tree, layout);
    tree.end();
    return tree.finish();
}

}  // namespace shoal::firmware
