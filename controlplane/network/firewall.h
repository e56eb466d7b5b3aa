// Firewall: nftables rules that keep networks apart. One table for each shoald, replaced as a whole
// and at once.
#pragma once

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "controlplane/network/subnet.h"

namespace shoal::network {

struct GuardedBridge {
    std::string name;
    Subnet subnet;
    bool nat = false;
    bool operator==(const GuardedBridge& other) const {
        return name == other.name && subnet.first == other.subnet.first &&
               subnet.bits == other.subnet.bits && nat == other.nat;
    }
};

// For `nft -f`. Without bridges there is no table left.
[[nodiscard]] std::string firewall_script(const std::string& table,
                                          const std::vector<GuardedBridge>& bridges);

// A thousand times what it takes.
inline constexpr std::chrono::milliseconds nft_limit{10'000};

// Has nft set the rules, one run after the other, beside the loop. On the loop's thread.
class Firewall {
public:
    // Borrows the context. `limit` is how long nft may take.
    Firewall(boost::asio::io_context& context, std::string table,
             std::chrono::milliseconds limit = nft_limit);
    Firewall(const Firewall&) = delete;
    Firewall& operator=(const Firewall&) = delete;
    // Kills an nft that runs, and waits until it is gone: the next shoald's rules are not to be
    // replaced by older ones.
    ~Firewall() = default;

    // That exactly the rules for these bridges hold. Unless they do, nft is started, and NotYet
    // (node/provisions.h) thrown: to be asked again. So it is while nft runs, whatever changes
    // meanwhile: it all goes into the next run. When nft has failed, throws std::runtime_error,
    // once; who asks then has it tried again.
    void expect(const std::vector<GuardedBridge>& bridges);
    // That nft does not run. Throws NotYet.
    void expect_idle() const;

private:
    enum class State { unknown, running, set, failed };  // the rules for `bridges_`

    void start(const std::vector<GuardedBridge>& bridges);
    void end(const std::string& failure);

    boost::asio::io_context& context_;
    std::string table_;
    std::chrono::milliseconds limit_;
    State state_ = State::unknown;
    std::vector<GuardedBridge> bridges_;
    std::string failure_;
    std::chrono::steady_clock::time_point began_{};
    std::shared_ptr<Firewall*> self_ = std::make_shared<Firewall*>(this);
    std::jthread thread_;  // waits for nft; last: joined before what it uses is gone
};

}  // namespace shoal::network
