// What a vCPU's CPUID says of its neighbours.
#include "vmm/kvm/cpu_topology.h"

#include <doctest/doctest.h>

#include <array>
#include <initializer_list>
#include <utility>

namespace shoal::kvm {
namespace {

kvm_cpuid_entry2 adapted(std::uint32_t function, std::uint32_t index, std::uint32_t idx,
                         const CpuTopology& topology, std::uint32_t eax = 0,
                         std::uint32_t ebx = 0) {
    kvm_cpuid_entry2 entry{};
    entry.function = function;
    entry.index = index;
    entry.eax = eax;
    entry.ebx = ebx;
    adapt_cpuid(entry, idx, topology);
    return entry;
}

TEST_CASE("without SMT every vCPU is a core") {
    constexpr CpuTopology topology{4, 1};
    for (const std::uint32_t leaf : {0xBU, 0x1FU}) {
        const auto threads = adapted(leaf, 0, 3, topology);
        CHECK(threads.eax == 0);
        CHECK(threads.ebx == 1);
        CHECK(threads.ecx == (1U << 8 | 0));
        CHECK(threads.edx == 3);
        const auto cores = adapted(leaf, 1, 3, topology);
        CHECK(cores.eax == 2);
        CHECK(cores.ebx == 4);
        CHECK(cores.ecx == (2U << 8 | 1));
        CHECK(cores.edx == 3);
    }
    CHECK((adapted(0x8000'001E, 0, 3, topology).ebx & 0xFFFF) == 3);
    CHECK((adapted(4, 0, 3, topology, 1 | 1 << 5).eax >> 26) == 3);
}

TEST_CASE("with SMT two neighbours are a core") {
    constexpr CpuTopology topology{6, 2};
    for (const std::uint32_t leaf : {0xBU, 0x1FU}) {
        const auto threads = adapted(leaf, 0, 5, topology);
        CHECK(threads.eax == 1);  // bits of the id below the core's
        CHECK(threads.ebx == 2);
        CHECK(threads.ecx == (1U << 8 | 0));
        CHECK(threads.edx == 5);
        const auto cores = adapted(leaf, 1, 5, topology);
        CHECK(cores.eax == 3);
        CHECK(cores.ebx == 6);
        CHECK(cores.ecx == (2U << 8 | 1));
    }
    const auto first = adapted(1, 0, 5, topology, 0, 0xFFFF'FF08);
    CHECK(first.ebx == (5U << 24 | 6U << 16 | 0xFF08));
    CHECK((first.edx & 1U << 28) != 0);
    CHECK(adapted(0x8000'0008, 0, 5, topology).ecx == (5U | 3U << 12));
    const auto unit = adapted(0x8000'001E, 0, 5, topology, 0, 0xABCD'FFFF);
    CHECK(unit.eax == 5);
    CHECK(unit.ebx == (0xABCD'0000U | 1U << 8 | 2U));
}

TEST_CASE("caches of levels 1 and 2 are a core's, the third is everybody's") {
    constexpr CpuTopology topology{6, 2};
    constexpr std::uint32_t sharing_of_host = 0xFFFU << 14;
    for (const std::uint32_t leaf : {0x4U, 0x8000'001DU}) {
        for (const auto& [level, sharing] :
             std::array{std::pair{1U, 2U}, std::pair{2U, 2U}, std::pair{3U, 6U}}) {
            const std::uint32_t kind = 1U | level << 5 | 1U << 8;
            const auto cache = adapted(leaf, level, 0, topology, kind | sharing_of_host);
            CHECK((cache.eax & 0x3FFF) == kind);
            CHECK((cache.eax >> 14 & 0xFFF) == sharing - 1);
        }
        CHECK(adapted(leaf, 9, 0, topology, 0).eax == 0);  // no more of them
    }
    CHECK((adapted(4, 0, 0, topology, 1U | 1U << 5).eax >> 26) == 2);  // cores, less one
}

TEST_CASE("one vCPU has no neighbours") {
    constexpr CpuTopology topology{1, 1};
    CHECK(adapted(0xB, 1, 0, topology).eax == 0);
    kvm_cpuid_entry2 first{};
    first.function = 1;
    first.edx = 0xFFFF'FFFF;
    adapt_cpuid(first, 0, topology);
    CHECK(first.edx == ~(1U << 28));
    CHECK(adapted(7, 0, 0, topology, 1, 2).ebx == 2);  // other leaves are the host's
}

}  // namespace
}  // namespace shoal::kvm
