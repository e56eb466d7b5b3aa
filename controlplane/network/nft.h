// Runs nft, of the package nftables, which sets rules as a whole or not at all.
#pragma once

#include <chrono>
#include <stop_token>
#include <string>

namespace shoal::network {

// Waits until nft has done what `script` says (as for `nft -f`): not for the loop's thread. nft is
// killed when it takes longer than `limit`, or by `stop`: shoald ends. It is gone when this
// returns. Throws std::system_error or std::runtime_error.
void run_nft(const std::string& script, std::chrono::milliseconds limit,
             const std::stop_token& stop);

}  // namespace shoal::network
