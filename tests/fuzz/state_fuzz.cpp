// Fuzzes the reader of state files: it reads or throws StateError. What it reads, it writes as it
// was. So do the readers of what stands behind a memory and of working sets. A second way, past the
// checksums, feeds the bytes to the sections' own fields.
#include <algorithm>
#include <array>
#include <cstdint>
#include <span>

#include "devices/abi/address_map.h"
#include "devices/host/check.h"
#include "vmm/state/config_fields.h"
#include "vmm/state/microvm_file.h"
#include "vmm/state/section.h"
#include "vmm/state/vcpu_fields.h"
#include "vmm/state/working_set.h"

namespace {

using namespace shoal;

template <typename T>
void read_as(std::span<const std::byte> bytes) {
    try {
        T value{};
        state::Decoder{bytes, "the input"}.read(value);
    } catch (const state::StateError&) {
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto bytes = std::as_bytes(std::span{data, size});
    try {
        const state::Snapshot snapshot = state::decode(bytes);
        static_cast<void>(state::encode(snapshot));
    } catch (const state::StateError&) {
    }
    constexpr std::uint64_t memory_bytes = 1 << 20;
    try {
        const auto pages = state::decode_working_set(bytes, {}, memory_bytes);
        SHOAL_CHECK(std::ranges::all_of(
            pages, [](std::uint32_t page) { return page < memory_bytes / abi::page_size; }));
        SHOAL_CHECK(pages.empty() || state::decode_working_set(state::encode_working_set({}, pages),
                                                               {}, memory_bytes) == pages);
    } catch (const state::StateError&) {
    }
    if (const auto mark = state::parse_mark(bytes, memory_bytes)) {
        SHOAL_CHECK(std::ranges::equal(state::encode(*mark), bytes));
    }
    read_as<vmm::MicrovmConfig>(bytes);
    read_as<kvm::VcpuState>(bytes);
    read_as<virtio::MmioTransportState>(bytes);
    read_as<virtio::BalloonState>(bytes);
    read_as<legacy::SerialState>(bytes);
    read_as<legacy::I8042State>(bytes);
    read_as<state::WorkingSet>(bytes);
    return 0;
}
