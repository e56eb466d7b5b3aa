// `shoal console`: this process's terminal as a microVM's.
#pragma once

#include <string>
#include <string_view>

#include "controlplane/cli/client.h"
#include "controlplane/cli/frame_exchange.h"
#include "controlplane/cli/remote_options.h"

namespace shoal::cli {

// As telnet and virsh have it: Ctrl-].
inline constexpr char escape_key = 0x1D;

// Up to the escape, which leaves; so does the end of input.
[[nodiscard]] Typed typed_in(std::string_view bytes);

// Until it is left (0) or the microVM has ended (its exit code). Throws CliError.
[[nodiscard]] int console(const Client& client, const ConsoleOptions& options,
                          const std::string& target);

}  // namespace shoal::cli
