// Building the ACPI tables. Offsets and sizes are those of the specification's tables (5.2).
#include "firmware/acpi.h"

#include <array>
#include <cstdio>
#include <cstring>
#include <numeric>
#include <string>

#include "devices/abi/address_map.h"
#include "devices/abi/generation.h"
#include "devices/host/check.h"
#include "firmware/aml.h"

namespace shoal::firmware {
namespace {

constexpr std::string_view oem_id = "SHOAL ";
constexpr std::string_view oem_table_id = "SHOALVM ";
constexpr std::string_view creator_id = "SHOL";

template <typename T>
void append(std::string& table, T value) {
    char bytes[sizeof value];
    std::memcpy(bytes, &value, sizeof value);
    table.append(bytes, sizeof value);
}

char checksum(std::string_view bytes) {
    const auto sum = std::accumulate(bytes.begin(), bytes.end(), 0U, [](unsigned so_far, char c) {
        return so_far + static_cast<unsigned char>(c);
    });
    return static_cast<char>(0U - sum);
}

// The header that all tables share (5.2.6), then the body.
std::string make_table(std::string_view signature, std::uint8_t revision, const std::string& body) {
    constexpr std::uint32_t header_bytes = 36;
    constexpr std::size_t checksum_offset = 9;
    std::string table{signature};
    append(table, header_bytes + static_cast<std::uint32_t>(body.size()));
    append(table, revision);
    append(table, char{0});
    table += oem_id;
    table += oem_table_id;
    append(table, std::uint32_t{1});
    table += creator_id;
    append(table, std::uint32_t{1});
    table += body;
    table[checksum_offset] = checksum(table);
    return table;
}

// The VM Generation ID's device, and the one that turns its interrupt into a notification (5.6.9).
std::string make_generation_devices() {
    constexpr std::uint8_t id_has_changed = 0x80;
    const std::string address[]{aml::integer(abi::generation_id), aml::integer(0)};
    const std::string ids[]{aml::text("VM_Gen_Counter"), aml::text("VMGENCTR")};
    return aml::device("VGEN", aml::name("_HID", aml::text("SHOL0001")) +
                                   aml::name("_CID", aml::package(ids)) +
                                   aml::name("_DDN", aml::text("VM_Gen_Counter")) +
                                   aml::name("ADDR", aml::package(address))) +
           aml::device("GED_",
                       aml::name("_HID", aml::text("ACPI0013")) +
                           aml::name("_CRS", aml::resources(aml::interrupt(abi::generation_gsi))) +
                           aml::method("_EVT", 1, aml::notify("_SB_", "VGEN", id_has_changed)));
}

std::string make_dsdt(const MachineLayout& layout) {
    std::string devices = aml::device(
        "COM1", aml::name("_HID", aml::eisa_id("PNP0501")) + aml::name("_UID", aml::integer(0)) +
                    aml::name("_CRS", aml::resources(aml::ports(abi::serial_port, 8) +
                                                     aml::interrupt(abi::serial_gsi))));
    // Linux looks for a keyboard controller where such a device says so (PNP0303).
    devices += aml::device("PS2K",
                           aml::name("_HID", aml::eisa_id("PNP0303")) +
                               aml::name("_CRS", aml::resources(aml::ports(abi::i8042_port, 1) +
                                                                aml::ports(abi::i8042_port + 4, 1) +
                                                                aml::interrupt(abi::i8042_gsi))));
    devices += make_generation_devices();
    unsigned idx = 0;
    for (const VirtioMmioSlot& slot : layout.virtio) {
        char segment[8];
        std::snprintf(segment, sizeof segment, "V%03u", idx % 1000);
        const auto start = static_cast<std::uint32_t>(slot.start.value());
        const auto size = static_cast<std::uint32_t>(slot.size_bytes);
        devices += aml::device(
            segment, aml::name("_HID", aml::text("LNRO0005")) +
                         aml::name("_UID", aml::integer(idx)) + aml::name("_CCA", aml::integer(1)) +
                         aml::name("_CRS", aml::resources(aml::memory32(start, size) +
                                                          aml::interrupt(slot.gsi))));
        ++idx;
    }
    // Switched off by the sleep registers (7.4.2.6); there is one, so one value.
    const std::string sleep_type[]{aml::integer(abi::sleep_type_off)};
    return make_table(
        "DSDT", 6, aml::name("\\_S5_", aml::package(sleep_type)) + aml::scope("\\_SB_", devices));
}

// Fixed ACPI description table (5.2.9): 276 bytes, nearly all zero.
std::string make_fadt(std::uint64_t dsdt) {
    constexpr std::size_t body_bytes = 276 - 36;
    constexpr std::uint32_t flag_power_button_absent = 1U << 4;
    constexpr std::uint32_t flag_sleep_button_absent = 1U << 5;
    constexpr std::uint32_t flag_reset_register = 1U << 10;
    constexpr std::uint32_t flag_hardware_reduced = 1U << 20;
    constexpr std::uint16_t boot_8042 = 1U << 1;
    constexpr std::uint16_t boot_no_vga = 1U << 2;
    constexpr std::uint16_t boot_no_cmos_clock = 1U << 5;
    std::string body(body_bytes, '\0');
    const auto put = [&body](std::size_t offset, const auto& value) {
        std::memcpy(&body[offset - 36], &value, sizeof value);
    };
    put(109, static_cast<std::uint16_t>(boot_8042 | boot_no_vga | boot_no_cmos_clock));
    put(112, flag_power_button_absent | flag_sleep_button_absent | flag_reset_register |
                 flag_hardware_reduced);
    // A generic address (5.2.3.2): a port, 8 bits wide, accessed by bytes.
    const auto put_port = [&put](std::size_t offset, std::uint64_t port) {
        put(offset, std::array<std::uint8_t, 4>{1, 8, 0, 1});
        put(offset + 4, port);
    };
    put_port(116, abi::i8042_port + 4);  // reset register
    put(128, std::uint8_t{0xFE});
    put(131, std::uint8_t{4});  // minor version: 6.4
    put(140, dsdt);
    put_port(244, abi::power_port);      // sleep control
    put_port(256, abi::power_port + 1);  // sleep status
    return make_table("FACP", 6, body);
}

// Multiple APIC description table (5.2.12).
std::string make_madt(const MachineLayout& layout) {
    std::string body;
    append(body, static_cast<std::uint32_t>(abi::local_apic_start));
    append(body, std::uint32_t{0});  // no PC-AT interrupt controllers
    for (std::uint32_t idx = 0; idx < layout.vcpu_count; ++idx) {
        append(body, std::uint16_t{0x0800});  // local APIC, 8 bytes
        append(body, static_cast<std::uint8_t>(idx));
        append(body, static_cast<std::uint8_t>(idx));
        append(body, std::uint32_t{1});  // enabled
    }
    append(body, std::uint16_t{0x0C01});  // I/O APIC, 12 bytes
    append(body, std::uint16_t{0});
    append(body, static_cast<std::uint32_t>(abi::ioapic_start));
    append(body, std::uint32_t{0});  // its first interrupt
    return make_table("APIC", 5, body);
}

std::string make_rsdp(std::uint64_t xsdt) {
    constexpr std::size_t first_part_bytes = 20;  // what ACPI 1.0 sums up
    constexpr std::uint32_t bytes = 36;
    std::string rsdp = "RSD PTR ";
    append(rsdp, char{0});
    rsdp += oem_id;
    append(rsdp, std::uint8_t{2});
    append(rsdp, std::uint32_t{0});  // no RSDT
    append(rsdp, bytes);
    append(rsdp, xsdt);
    append(rsdp, std::uint32_t{0});
    rsdp[8] = checksum(std::string_view{rsdp}.substr(0, first_part_bytes));
    rsdp[32] = checksum(rsdp);
    return rsdp;
}

// Lays tables one behind the other.
class TableWriter {
public:
    TableWriter(const machine::GuestMemory& memory, std::uint64_t at) : memory_{memory}, at_{at} {}

    std::uint64_t write(const std::string& table) {
        const std::uint64_t start = at_;
        SHOAL_CHECK(table.size() <= abi::generation_area - at_);
        SHOAL_CHECK(memory_.write_bytes(machine::Gpa{at_}, std::as_bytes(std::span{table})));
        at_ = (at_ + table.size() + 15) & ~15ULL;
        return start;
    }

private:
    const machine::GuestMemory& memory_;
    std::uint64_t at_;
};

}  // namespace

machine::Gpa write_acpi_tables(const machine::GuestMemory& memory, const MachineLayout& layout) {
    constexpr std::uint64_t rsdp_room = 64;
    TableWriter writer{memory, abi::acpi_tables + rsdp_room};
    std::string pointers;
    const std::uint64_t dsdt = writer.write(make_dsdt(layout));
    append(pointers, writer.write(make_fadt(dsdt)));
    append(pointers, writer.write(make_madt(layout)));
    const std::uint64_t xsdt = writer.write(make_table("XSDT", 1, pointers));
    TableWriter{memory, abi::acpi_tables}.write(make_rsdp(xsdt));
    return machine::Gpa{abi::acpi_tables};
}

}  // namespace shoal::firmware
