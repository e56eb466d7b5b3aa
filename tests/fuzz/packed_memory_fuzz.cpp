// Fuzzes the reader of compressed memory files: it gives pages of the memory or throws StateError.
// The bytes are a file, and the table at a file's end.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <span>

#include "devices/abi/address_map.h"
#include "devices/host/check.h"
#include "devices/host/unique_fd.h"
#include "vmm/state/packed_memory.h"
#include "vmm/state/state_error.h"

namespace {

using namespace shoal;

constexpr std::uint64_t memory_bytes = 1 << 20;

void read_table(std::span<const std::byte> bytes) {
    try {
        const auto frames = state::decode_seek_table(bytes);
        const auto again = state::encode_seek_table(frames);
        SHOAL_CHECK(again.size() == bytes.size() && state::decode_seek_table(again) == frames);
    } catch (const state::StateError&) {
    }
}

void read_page(state::PackedMemory& memory, std::uint64_t at) {
    try {
        const vmm::Pages pages = memory.read(at);
        SHOAL_CHECK(pages.offset <= at && at - pages.offset < pages.bytes.size());
        SHOAL_CHECK(pages.offset % abi::page_size == 0 && pages.bytes.size() % abi::page_size == 0);
        SHOAL_CHECK(pages.bytes.size() <= memory_bytes - pages.offset);
    } catch (const state::StateError&) {
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    read_table(std::as_bytes(std::span{data, size}));
    host::UniqueFd file{::memfd_create("memory", MFD_CLOEXEC)};
    SHOAL_CHECK(file && ::write(file.get(), data, size) == static_cast<ssize_t>(size));
    try {
        state::PackedMemory memory{"memory", std::move(file), memory_bytes};
        for (std::uint64_t at = 0; at < memory_bytes; at += abi::page_size) {
            read_page(memory, at);
        }
    } catch (const state::StateError&) {
    }
    return 0;
}
