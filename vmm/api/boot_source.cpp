// The kernel, its initrd and its command line.
#include "vmm/api/boot_source.h"

#include <algorithm>

namespace shoal::api {
namespace {

// COMMAND_LINE_SIZE of Linux on x86; what the machine appends is checked at the start.
constexpr std::size_t max_boot_args_bytes = 2048;

void check_boot_args(const std::string& boot_args) {
    constexpr std::string_view refusal = "The kernel command line is invalid: ";
    if (boot_args.size() > max_boot_args_bytes) {
        throw Fault{std::string{refusal} + "it has " + std::to_string(boot_args.size()) +
                    " bytes and may have " + std::to_string(max_boot_args_bytes)};
    }
    const auto is_control = [](char byte) {
        return static_cast<unsigned char>(byte) < 0x20 || byte == 0x7F;
    };
    if (std::ranges::any_of(boot_args, is_control)) {
        throw Fault{std::string{refusal} + "it has a control character in it"};
    }
}

}  // namespace

void set_boot_source(Context& context, const vmm::BootSourceConfig& boot_source) {
    with_prefix("Boot source error: ", [&] {
        check_boot_args(boot_source.boot_args.value_or(std::string{}));
        context.microvm.set_boot_source(boot_source);
    });
    context.config.boot_source = boot_source;
}

ParsedRequest parse_put_boot_source(const Call& call) {
    const auto boot_source = parse_body<vmm::BootSourceConfig>(call);
    return {[boot_source](Context& context) {
        set_boot_source(context, boot_source);
        return no_content();
    }};
}

}  // namespace shoal::api
