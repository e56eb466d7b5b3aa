// The words go first; the rest is an exchange of frames.
#include "controlplane/cli/exec.h"

#include <utility>

#include "controlplane/cli/cli_error.h"
#include "controlplane/cli/frame_exchange.h"
#include "controlplane/exec/start.h"

namespace shoal::cli {

int exec(const Client& client, const ExecOptions& options, const std::string& target) {
    const std::string start = exec::to_payload({options.folder, options.words, options.env});
    Upgraded upgraded;
    try {
        upgraded = client.upgrade({"POST", target}, exec::protocol);
    } catch (const CliError& error) {
        throw CliError(error.what());  // Exit code 1 would be the command's.
    }
    FrameExchange exchange{std::move(upgraded), "the command"};
    exchange.send({exec::FrameType::start, start});
    const exec::Ended ended = exchange.run().value();
    if (!ended.reason.empty()) {
        throw CliError(printable(ended.reason), static_cast<ExitCode>(ended.code));
    }
    return ended.code;
}

}  // namespace shoal::cli
