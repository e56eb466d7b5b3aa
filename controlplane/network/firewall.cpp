// What is not allowed here is dropped; what is none of our bridges' is not touched.
#include "controlplane/network/firewall.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <stdexcept>

#include "devices/host/os_error.h"
#include "devices/host/pipe.h"

extern char** environ;

namespace shoal::network {
namespace {

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

void apply_firewall(const std::string& script) {
    host::Pipe input = host::make_pipe();
    host::Pipe output = host::make_pipe();
    // Its size is that of the pipe at least: nobody waits for anybody.
    host::check_os(::fcntl(input.write.get(), F_SETPIPE_SZ, static_cast<int>(script.size() + 1)),
                   "F_SETPIPE_SZ");
    if (::write(input.write.get(), script.data(), script.size()) !=
        static_cast<ssize_t>(script.size())) {
        host::throw_os_error("writing to nft");
    }
    input.write = {};
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, input.read.get(), STDIN_FILENO);
    ::posix_spawn_file_actions_adddup2(&actions, output.write.get(), STDOUT_FILENO);
    ::posix_spawn_file_actions_adddup2(&actions, output.write.get(), STDERR_FILENO);
    ::posix_spawn_file_actions_addclosefrom_np(&actions, 3);
    std::array<std::string, 3> words{"nft", "-f", "-"};
    std::array<char*, 4> argv{words[0].data(), words[1].data(), words[2].data(), nullptr};
    pid_t pid = 0;
    const int error = ::posix_spawnp(&pid, "nft", &actions, nullptr, argv.data(), environ);
    ::posix_spawn_file_actions_destroy(&actions);
    if (error != 0) {
        host::throw_os_error("cannot run nft (of the package nftables)", error);
    }
    output.write = {};
    std::array<char, 400> said{};
    const ssize_t count = ::read(output.read.get(), said.data(), said.size());
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        const std::string text{said.data(), static_cast<std::size_t>(count < 0 ? 0 : count)};
        throw std::runtime_error{"nft refuses the rules: " + text.substr(0, text.find('\n'))};
    }
}

}  // namespace shoal::network
