// ACPI tables, as we read them and as iasl does.
#include "firmware/acpi.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <numeric>
#include <string>
#include <vector>

#include "devices/abi/address_map.h"
#include "firmware/aml.h"
#include "tests/unit/firmware/tool.h"

namespace shoal::firmware {
namespace {

using machine::Gpa;
using machine::GuestMemory;

constexpr std::array<VirtioMmioSlot, 2> slots{{
    {Gpa{abi::virtio_mmio_start}, abi::virtio_mmio_size, 5},
    {Gpa{abi::virtio_mmio_start + 0x1000}, abi::virtio_mmio_size, 6},
}};

struct Tables {
    Tables() : memory{2 << 20}, rsdp{write_acpi_tables(memory, {3, slots})} {}

    template <typename T>
    T read(std::uint64_t at) const {
        return *memory.read<T>(Gpa{at});
    }
    // The table's bytes by its signature, from the XSDT or, for the DSDT, from the FADT.
    std::span<std::byte> find(const char* signature) const {
        const auto xsdt = read<std::uint64_t>(rsdp.value() + 24);
        const auto count = (read<std::uint32_t>(xsdt + 4) - 36) / 8;
        for (std::uint32_t i = 0; i < count; ++i) {
            const auto at = read<std::uint64_t>(xsdt + 36 + 8 * i);
            if (const auto table = whole(at); has_signature(table, signature)) {
                return table;
            }
            const auto dsdt = whole(read<std::uint64_t>(at + 140));
            if (has_signature(dsdt, signature)) {
                return dsdt;
            }
        }
        return {};
    }
    std::span<std::byte> whole(std::uint64_t at) const {
        const auto size = memory.read<std::uint32_t>(Gpa{at + 4});
        const auto bytes = memory.slice(Gpa{at}, size.value_or(0));
        return bytes ? *bytes : std::span<std::byte>{};
    }
    static bool has_signature(std::span<std::byte> table, const char* signature) {
        return table.size() > 4 && std::memcmp(table.data(), signature, 4) == 0;
    }

    GuestMemory memory;
    Gpa rsdp;
};

unsigned sum(std::span<const std::byte> bytes) {
    return std::accumulate(
               bytes.begin(), bytes.end(), 0U,
               [](unsigned so_far, std::byte b) { return so_far + std::to_integer<unsigned>(b); }) &
           0xFF;
}

TEST_CASE("the RSDP lies where Linux looks for it and its checksums hold") {
    const Tables tables;
    CHECK(tables.rsdp == Gpa{abi::acpi_tables});
    const auto rsdp = *tables.memory.slice(tables.rsdp, 36);
    CHECK(std::memcmp(rsdp.data(), "RSD PTR ", 8) == 0);
    CHECK(sum(rsdp.first(20)) == 0);
    CHECK(sum(rsdp) == 0);
}

TEST_CASE("every ACPI table has a checksum that holds, and iasl disassembles it") {
    const Tables tables;
    for (const char* signature : {"FACP", "APIC", "DSDT"}) {
        CAPTURE(signature);
        const auto table = tables.find(signature);
        REQUIRE(!table.empty());
        CHECK(sum(table) == 0);
        const std::string output = testing::check_with("iasl -d table.bin", table);
        CHECK(output.find("Error") == std::string::npos);
        CHECK(output.find("incorrect checksum") == std::string::npos);
    }
}

TEST_CASE("the DSDT names each virtio device with its registers and interrupt") {
    const Tables tables;
    const std::string listing = testing::check_with("iasl -d table.bin", tables.find("DSDT"));
    CHECK(listing.find("LNRO0005") != std::string::npos);
    CHECK(listing.find("0xC0001000") != std::string::npos);
    CHECK(listing.find("0xC0002000") != std::string::npos);
    CHECK(listing.find("0x00000006,") != std::string::npos);
    CHECK(listing.find("PNP0501") != std::string::npos);
    CHECK(listing.find("Edge, ActiveHigh, Exclusive") != std::string::npos);
}

TEST_CASE("the tables tell of the keyboard controller") {
    const Tables tables;
    const std::string listing = testing::check_with("iasl -d table.bin", tables.find("DSDT"));
    CHECK(listing.find("PNP0303") != std::string::npos);
    CHECK(listing.find("0x0060,") != std::string::npos);
    CHECK(listing.find("0x0064,") != std::string::npos);
    CHECK(listing.find("0x00000001,") != std::string::npos);
    const auto fadt = tables.find("FACP");
    CHECK((fadt[109] & std::byte{2}) != std::byte{0});  // 8042 in IAPC_BOOT_ARCH
}

TEST_CASE("the DSDT tells where the VM Generation ID is, and how its change is notified") {
    const Tables tables;
    const std::string dsdt = testing::check_with("iasl -d table.bin", tables.find("DSDT"));
    CHECK(dsdt.find("\"VM_Gen_Counter\"") != std::string::npos);
    CHECK(dsdt.find("\"VMGENCTR\"") != std::string::npos);
    CHECK(dsdt.find("Name (ADDR, Package (0x02)") != std::string::npos);
    CHECK(dsdt.find("0x000F0010,") != std::string::npos);
    CHECK(dsdt.find("\"ACPI0013\"") != std::string::npos);
    CHECK(dsdt.find("Method (_EVT, 1, Serialized)") != std::string::npos);
    CHECK(dsdt.find("Notify (\\_SB.VGEN, 0x80)") != std::string::npos);
    CHECK(dsdt.find("0x00000003,") != std::string::npos);
}

TEST_CASE("the guest can switch the machine off, and iasl finds how") {
    const Tables tables;
    const std::string dsdt = testing::check_with("iasl -d table.bin", tables.find("DSDT"));
    CHECK(dsdt.find("Name (\\_S5, Package (0x01)") != std::string::npos);
    const std::string fadt = testing::check_with("iasl -d table.bin", tables.find("FACP"));
    CHECK(fadt.find("Sleep Control Register") != std::string::npos);
    CHECK(fadt.find("0000000000000600") != std::string::npos);
    CHECK(fadt.find("0000000000000601") != std::string::npos);
}

TEST_CASE("the MADT has an entry for each vCPU and one for the I/O APIC") {
    const Tables tables;
    const auto madt = tables.find("APIC");
    std::size_t cpus = 0;
    std::size_t io_apics = 0;
    for (std::size_t at = 44; at + 1 < madt.size();
         at += std::to_integer<std::size_t>(madt[at + 1])) {
        cpus += madt[at] == std::byte{0} ? 1U : 0U;
        io_apics += madt[at] == std::byte{1} ? 1U : 0U;
        REQUIRE(madt[at + 1] != std::byte{0});
    }
    CHECK(cpus == 3);
    CHECK(io_apics == 1);
}

TEST_CASE("ACPI tables for the largest machine fit their area") {
    std::vector<VirtioMmioSlot> many(abi::max_virtio_devices,
                                     {Gpa{abi::virtio_mmio_start}, abi::virtio_mmio_size, 5});
    const GuestMemory memory{1 << 20};
    CHECK(write_acpi_tables(memory, {abi::max_vcpus, many}) == Gpa{abi::acpi_tables});
}

TEST_CASE("AML integers and packages take the shortest form") {
    CHECK(aml::integer(0) == std::string{'\0'});
    CHECK(aml::integer(1) == "\x01");
    CHECK(aml::integer(0xFF) == "\x0A\xFF");
    CHECK(aml::integer(0x100) == std::string("\x0B\x00\x01", 3));
    CHECK(aml::integer(0x10000).size() == 5);
    CHECK(aml::integer(1ULL << 32).size() == 9);
    CHECK(aml::scope("\\_SB_", std::string(10, 'x')).substr(0, 2) == std::string("\x10\x10"));
    CHECK(aml::scope("\\_SB_", std::string(100, 'x')).size() == 1 + 2 + 5 + 100);
    const std::string one[]{aml::integer(5)};
    CHECK(aml::package(one) == std::string("\x12\x04\x01\x0A\x05"));
    CHECK(aml::package({}) == std::string("\x12\x02\x00", 3));
    CHECK(aml::eisa_id("PNP0501") == std::string("\x0C\x41\xD0\x05\x01", 5));
}

}  // namespace
}  // namespace shoal::firmware
