#include "vmm/machine/fault_handler.h"

#include <doctest/doctest.h>

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>

#include "devices/abi/address_map.h"

namespace shoal::vmm {
namespace {

TEST_CASE("the handshake says what lies where, on both sides of the hole below 4 GiB") {
    const machine::GuestMemory memory{abi::ram_hole_start + (2 << 20)};
    const auto mappings = boost::json::parse(FaultHandler::handshake(memory)).as_array();
    REQUIRE(mappings.size() == 2);
    for (std::size_t idx = 0; idx < 2; ++idx) {
        const machine::RamRegion& region = memory.regions()[idx];
        const auto& mapping = mappings[idx].as_object();
        CHECK(mapping.at("base_host_virt_addr").to_number<std::uint64_t>() ==
              reinterpret_cast<std::uintptr_t>(region.bytes.data()));
        CHECK(mapping.at("size").to_number<std::uint64_t>() == region.bytes.size());
        CHECK(mapping.at("offset").to_number<std::uint64_t>() == region.file_offset);
        CHECK(mapping.at("page_size").to_number<std::uint64_t>() == 4096);
    }
}

}  // namespace
}  // namespace shoal::vmm
