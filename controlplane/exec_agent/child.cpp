// posix_spawn(3), which copies nothing: a fork of a large program may be more than a guest can.
#include "controlplane/exec_agent/child.h"

#include <spawn.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <string_view>

namespace shoal::exec_agent {
namespace {

class Attributes {
public:
    explicit Attributes(short flags) {
        ::posix_spawnattr_init(&attributes_);
        // As if the agent had never changed them.
        sigset_t none;
        sigemptyset(&none);
        ::posix_spawnattr_setsigmask(&attributes_, &none);
        sigset_t ignored;
        sigemptyset(&ignored);
        sigaddset(&ignored, SIGPIPE);
        ::posix_spawnattr_setsigdefault(&attributes_, &ignored);
        ::posix_spawnattr_setflags(&attributes_, static_cast<short>(flags | POSIX_SPAWN_SETSIGMASK |
                                                                    POSIX_SPAWN_SETSIGDEF));
    }
    Attributes(const Attributes&) = delete;
    Attributes& operator=(const Attributes&) = delete;
    ~Attributes() { ::posix_spawnattr_destroy(&attributes_); }

    [[nodiscard]] const posix_spawnattr_t* get() const noexcept { return &attributes_; }

private:
    posix_spawnattr_t attributes_{};
};

class Actions {
public:
    Actions(const std::string& folder, const std::array<int, 3>& streams) {
        ::posix_spawn_file_actions_init(&actions_);
        for (int number = 0; number < 3; ++number) {
            ::posix_spawn_file_actions_adddup2(&actions_, streams[static_cast<std::size_t>(number)],
                                               number);
        }
        if (!folder.empty()) {
            ::posix_spawn_file_actions_addchdir_np(&actions_, folder.c_str());
        }
    }
    Actions(const Actions&) = delete;
    Actions& operator=(const Actions&) = delete;
    ~Actions() { ::posix_spawn_file_actions_destroy(&actions_); }

    [[nodiscard]] const posix_spawn_file_actions_t* get() const noexcept { return &actions_; }

private:
    posix_spawn_file_actions_t actions_{};
};

// The agent's, with what is given instead of what has the same name.
std::vector<char*> environment_of(const exec::Start& start) {
    const auto is_replaced = [&start](std::string_view assignment) {
        const std::string_view name = assignment.substr(0, assignment.find('=') + 1);
        for (const std::string& given : start.environment) {
            if (given.starts_with(name)) {
                return true;
            }
        }
        return false;
    };
    std::vector<char*> words;
    for (char** at = ::environ; *at != nullptr; ++at) {
        if (!is_replaced(*at)) {
            words.push_back(*at);
        }
    }
    for (const std::string& given : start.environment) {
        words.push_back(const_cast<char*>(given.c_str()));
    }
    words.push_back(nullptr);
    return words;
}

// `child` is looked at when it has been started.
pid_t result_of(int error, const pid_t& child) {
    errno = error;
    return error == 0 ? child : 0;
}

}  // namespace

pid_t start_program(const std::string& program, const std::vector<char*>& words) {
    const Attributes attributes{0};
    pid_t child = 0;
    return result_of(
        ::posix_spawnp(&child, program.c_str(), nullptr, attributes.get(), words.data(), ::environ),
        child);
}

pid_t start_command(const exec::Start& start, const std::array<int, 3>& streams) {
    const Attributes attributes{POSIX_SPAWN_SETPGROUP};
    const Actions actions{start.folder, streams};
    std::vector<char*> words;
    for (const std::string& word : start.arguments) {
        words.push_back(const_cast<char*>(word.c_str()));
    }
    words.push_back(nullptr);
    pid_t child = 0;
    return result_of(::posix_spawnp(&child, words.front(), actions.get(), attributes.get(),
                                    words.data(), environment_of(start).data()),
                     child);
}

}  // namespace shoal::exec_agent
