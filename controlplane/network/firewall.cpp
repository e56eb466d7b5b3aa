// What is not allowed here is dropped; what is none of our bridges' is not touched.
#include "controlplane/network/firewall.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <exception>
#include <stdexcept>
#include <utility>

#include "controlplane/network/nft.h"
#include "controlplane/node/provisions.h"

namespace shoal::network {
namespace {

using std::chrono::steady_clock;

// It takes 10 ms. Whoever waits for one that hangs asks ever more rarely, and is told so (a second:
// provisions.h).
constexpr std::chrono::milliseconds shortest_pause{5};
constexpr std::chrono::milliseconds longest_pause{1000};

std::string quoted(const std::string& name) {
    return '"' + name + '"';
}

std::string subnet_text(const Subnet& subnet) {
    return to_text(subnet.first) + "/" + std::to_string(subnet.bits);
}

}  // namespace

std::string firewall_script(const std::string& table, const std::vector<GuardedBridge>& bridges) {
    // Deleting what is not there is an error, so it is made first.
    std::string script = "add table inet " + table + "\ndelete table inet " + table + "\n";
    if (bridges.empty()) {
        return script;
    }
    std::string forward;
    std::string input = "    ct state established,related accept\n";
    std::string postrouting;
    std::string all;
    for (const GuardedBridge& bridge : bridges) {
        const std::string name = quoted(bridge.name);
        all += (all.empty() ? "" : ", ") + name;
        // With br_netfilter, what stays in a bridge comes through here too.
        forward += "    iifname " + name + " oifname " + name + " accept\n";
    }
    // From one network to another, whatever else they may.
    forward += "    iifname { " + all + " } oifname { " + all + " } drop\n";
    for (const GuardedBridge& bridge : bridges) {
        const std::string name = quoted(bridge.name);
        const std::string subnet = subnet_text(bridge.subnet);
        if (bridge.nat) {
            forward += "    iifname " + name + " ip saddr " + subnet + " accept\n";
            forward += "    oifname " + name + " ct state established,related accept\n";
            postrouting += "    ip saddr " + subnet + " oifname != " + name + " masquerade\n";
        }
        input += "    iifname " + name + " ip daddr " + to_text(bridge.subnet.gateway()) +
                 " icmp type echo-request accept\n";
    }
    forward += "    iifname { " + all + " } drop\n    oifname { " + all + " } drop\n";
    input += "    iifname { " + all + " } drop\n";
    script += "table inet " + table + " {\n";
    script += "  chain forward {\n    type filter hook forward priority filter; policy accept;\n" +
              forward + "  }\n";
    script += "  chain input {\n    type filter hook input priority filter; policy accept;\n" +
              input + "  }\n";
    if (!postrouting.empty()) {
        script += "  chain postrouting {\n    type nat hook postrouting priority srcnat;\n" +
                  postrouting + "  }\n";
    }
    return script + "}\n";
}

Firewall::Firewall(boost::asio::io_context& context, std::string table,
                   std::chrono::milliseconds limit)
    : context_{context}, table_{std::move(table)}, limit_{limit} {}

void Firewall::expect_idle() const {
    if (state_ == State::running) {
        const auto pause =
            std::chrono::duration_cast<std::chrono::milliseconds>(steady_clock::now() - began_) / 2;
        throw node::NotYet{"nft is setting the rules",
                           std::clamp(pause, shortest_pause, longest_pause)};
    }
}

void Firewall::expect(const std::vector<GuardedBridge>& bridges) {
    expect_idle();
    if (bridges == bridges_ && state_ == State::set) {
        return;
    }
    if (bridges == bridges_ && state_ == State::failed) {
        state_ = State::unknown;
        throw std::runtime_error{failure_};
    }
    start(bridges);
    expect_idle();
}

void Firewall::start(const std::vector<GuardedBridge>& bridges) {
    bridges_ = bridges;
    state_ = State::unknown;
    // One that is over is joined here: it has said so with its last words.
    thread_ =
        std::jthread{[this, weak = std::weak_ptr{self_}, limit = limit_,
                      script = firewall_script(table_, bridges)](const std::stop_token& stop) {
            std::string failure;
            try {
                run_nft(script, limit, stop);
            } catch (const std::exception& error) {
                failure = error.what();
            }
            boost::asio::post(context_, [weak, failure] {
                if (const auto self = weak.lock()) {
                    (*self)->end(failure);
                }
            });
        }};
    state_ = State::running;
    began_ = steady_clock::now();
}

void Firewall::end(const std::string& failure) {
    state_ = failure.empty() ? State::set : State::failed;
    failure_ = failure;
}

}  // namespace shoal::network
