// The configuration as a section.
#include "vmm/migration/hello.h"

#include <stdexcept>
#include <string>

#include "vmm/state/config_fields.h"
#include "vmm/state/microvm_file.h"
#include "vmm/state/section.h"

namespace shoal::migration {
namespace {

constexpr state::SectionId config_section{"config"};

}  // namespace

std::vector<std::byte> encode_hello(const vmm::MicrovmConfig& config) {
    state::SectionWriter writer;
    writer.add(config_section, config);
    std::vector<std::byte> payload = writer.finish();
    if (payload.size() > max_hello_bytes) {
        throw std::runtime_error("the configuration has " + std::to_string(payload.size()) +
                                 " bytes, a migration takes " + std::to_string(max_hello_bytes));
    }
    return payload;
}

vmm::MicrovmConfig decode_hello(std::span<const std::byte> payload) {
    state::SectionReader reader{payload};
    auto config = reader.take<vmm::MicrovmConfig>(config_section);
    reader.refuse_the_rest();
    state::check(config);
    return config;
}

}  // namespace shoal::migration
