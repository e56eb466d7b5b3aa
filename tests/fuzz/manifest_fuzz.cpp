// Fuzzes files that are applied: JSON or YAML in, JSON out that can be read again, or one sentence.
#include <boost/json/serialize.hpp>
#include <cstddef>
#include <cstdint>
#include <string>

#include "controlplane/cli/cli_error.h"
#include "controlplane/cli/manifest.h"
#include "devices/host/check.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace shoal::cli;
    // SAFETY: bytes seen as chars.
    const std::string text{reinterpret_cast<const char*>(data), size};
    try {
        const std::string written = boost::json::serialize(parse_manifest(text, "file"));
        static_cast<void>(parse_manifest(written, "file"));  // it is JSON
    } catch (const CliError& error) {
        SHOAL_CHECK(std::string_view{error.what()}.starts_with("file"));
    }
    return 0;
}
