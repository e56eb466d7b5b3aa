// Which resolv.conf programs find.
#include "guest/kernel/name_servers.h"

#include <algorithm>
#include <array>

#include "guest/kernel/boot/ip_word.h"

namespace shoal::guest {
namespace {

constexpr std::string_view path = "/etc/resolv.conf";
constexpr std::string_view key = "nameserver";
constexpr std::string_view blanks = " \t";

bool names_reachable_server(std::string_view line) {
    if (!line.starts_with(key)) {
        return false;
    }
    line.remove_prefix(key.size());
    const std::size_t start = line.find_first_not_of(blanks);
    if (start == 0 || start == std::string_view::npos) {
        return false;
    }
    line.remove_prefix(start);
    return !line.starts_with("127.") && !line.starts_with("::1");
}

bool has_reachable_server(const FileSystem& files) {
    std::array<char, 4096> bytes;  // what libc reads of it is less
    const auto found = files.find(path);
    if (!found) {
        return false;
    }
    std::string_view rest{bytes.data(),
                          (*found)->inode().read_at(0, std::as_writable_bytes(std::span{bytes}))};
    while (!rest.empty()) {
        const std::size_t end = std::min(rest.find('\n'), rest.size());
        if (names_reachable_server(rest.substr(0, end))) {
            return true;
        }
        rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    return false;
}

}  // namespace

void provide_name_servers(FileSystem& files, const CommandLine& command_line) {
    const IpWord ip = parse_ip_word(command_line.ip).value_or(IpWord{});
    const bool are_named = ip.dns != NameServers{};
    const bool may_be_offered = ip.source == Ipv4Source::dhcp && !has_reachable_server(files);
    if (!(are_named || may_be_offered) || !files.ensure_directory("/etc")) {
        return;
    }
    files.remove_tree(path);
    if (const auto place = files.walk(files.root(), path, FollowLast::never)) {
        static_cast<void>(files.make_symlink(*place, "/proc/net/pnp"));
    }
}

}  // namespace shoal::guest
