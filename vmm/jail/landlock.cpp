// landlock(7), as far as the kernel knows it.
#include "vmm/jail/landlock.h"

#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <string_view>

#include "devices/host/os_error.h"
#include "devices/host/unique_fd.h"

// Of Linux 6.2; Debian 12's header is older.
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ULL << 14)
#endif

namespace shoal::jail {
namespace {

constexpr std::uint64_t file_rights = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE;
constexpr std::uint64_t folder_rights = LANDLOCK_ACCESS_FS_READ_DIR |
                                        LANDLOCK_ACCESS_FS_REMOVE_FILE |
                                        LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK;
constexpr std::uint64_t other_rights = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_REMOVE_DIR |
                                       LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR |
                                       LANDLOCK_ACCESS_FS_MAKE_FIFO |
                                       LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM;

long version() noexcept {
    return ::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
}

struct Rights {
    std::uint64_t on_files = file_rights;
    std::uint64_t on_folders = folder_rights;

    // Each version adds some, and refuses those that it does not know.
    explicit Rights(long known) noexcept {
        constexpr long has_refer = 2;
        constexpr long has_truncate = 3;
        on_folders |= known >= has_refer ? LANDLOCK_ACCESS_FS_REFER : 0;
        on_files |= known >= has_truncate ? LANDLOCK_ACCESS_FS_TRUNCATE : 0;
    }
};

void add_rule(int rules, int place, std::uint64_t rights) {
    landlock_path_beneath_attr rule{};
    rule.allowed_access = rights;
    rule.parent_fd = place;
    host::check_os(::syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0),
                   "landlock_add_rule");
}

void allow(int rules, std::string path, const Rights& rights) {
    constexpr std::string_view read_only = ",ro";
    const bool is_read_only = path.ends_with(read_only);
    path.resize(path.size() - (is_read_only ? read_only.size() : 0));
    const std::uint64_t on_files = is_read_only ? LANDLOCK_ACCESS_FS_READ_FILE : rights.on_files;
    const std::uint64_t on_folders = is_read_only ? LANDLOCK_ACCESS_FS_READ_DIR : rights.on_folders;
    const host::UniqueFd place{::open(path.c_str(), O_PATH | O_CLOEXEC)};
    struct stat status {};
    if (!place || ::fstat(place.get(), &status) < 0) {
        host::throw_os_error("cannot allow " + path);
    }
    add_rule(rules, place.get(), on_files | (S_ISDIR(status.st_mode) ? on_folders : 0));
}

// What a microVM needs of every host, where it is there. The folder of the process itself would be
// less than all of /proc, but its files come and go.
void allow_of_host(int rules, const Rights& rights) {
    for (const char* device : {"/dev/net/tun", "/dev/userfaultfd"}) {
        if (::access(device, F_OK) == 0) {
            allow(rules, device, rights);
        }
    }
    if (const host::UniqueFd processes{::open("/proc", O_PATH | O_CLOEXEC)}) {
        add_rule(rules, processes.get(), LANDLOCK_ACCESS_FS_READ_FILE);  // the pagemap
    }
}

}  // namespace

bool has_landlock() noexcept {
    return version() > 0;
}

void allow_only(std::span<const std::string> paths) {
    const Rights rights{version()};
    landlock_ruleset_attr handled{};
    handled.handled_access_fs = rights.on_files | rights.on_folders | other_rights;
    const host::UniqueFd rules{static_cast<int>(host::check_os(
        ::syscall(SYS_landlock_create_ruleset, &handled, sizeof handled, 0), "landlock"))};
    allow_of_host(rules.get(), rights);
    for (const std::string& path : paths) {
        allow(rules.get(), path, rights);
    }
    host::check_os(::syscall(SYS_landlock_restrict_self, rules.get(), 0), "landlock_restrict_self");
}

}  // namespace shoal::jail
