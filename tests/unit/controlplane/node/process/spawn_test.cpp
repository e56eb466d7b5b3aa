#include "controlplane/node/process/spawn.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "controlplane/node/process/run_folder.h"
#include "tests/unit/controlplane/store/scratch_folder.h"

namespace shoal::node::test {

namespace {

namespace fs = std::filesystem;

std::string text_of(const fs::path& path) {
    std::ifstream file{path};
    return {std::istreambuf_iterator<char>{file}, std::istreambuf_iterator<char>{}};
}

class Folder {
public:
    [[nodiscard]] fs::path path() const { return fs::canonical(scratch_.file(".")); }
    [[nodiscard]] Spawned spawn(const std::vector<std::string>& words, int cgroup = -1) const {
        return spawn_supervisor(words, folder_.get(), try_lock(folder_.get()), cgroup);
    }
    [[nodiscard]] bool is_locked() const { return !try_lock(folder_.get()); }
    // What a shell command writes to the file `said`, when it has ended.
    [[nodiscard]] std::string said_by(const std::string& command, int cgroup = -1) const {
        const Spawned spawned = spawn({"/bin/sh", "-c", command}, cgroup);
        pollfd end{spawned.ready.get(), POLLIN, 0};
        REQUIRE(::poll(&end, 1, 60'000) == 1);
        siginfo_t info{};
        REQUIRE(::waitid(P_PIDFD, static_cast<id_t>(spawned.process.get()), &info, WEXITED) == 0);
        CHECK(info.si_code == CLD_EXITED);
        CHECK(info.si_status == 0);
        return text_of(path() / "said");
    }

private:
    store::test::ScratchFolder scratch_;
    host::UniqueFd folder_{::open(scratch_.file(".").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
};

// Where a cgroup of version 2 can be made; empty: nowhere.
fs::path make_cgroup() {
    for (const fs::path mount : {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"}) {
        const fs::path folder = mount / ("shoal-unit-" + std::to_string(::getpid()));
        std::error_code error;
        if (fs::exists(mount / "cgroup.controllers") && fs::create_directory(folder, error)) {
            return folder;
        }
    }
    return {};
}

}  // namespace

TEST_CASE("a supervisor has its folder, its lock, its pipe, and nothing else of its parent's") {
    const Folder folder;
    // Neither is for a program that did not ask for it.
    const auto before = std::signal(SIGPIPE, SIG_IGN);
    sigset_t blocked;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    sigset_t mask_before;
    ::pthread_sigmask(SIG_BLOCK, &blocked, &mask_before);
    const std::string said = folder.said_by(
        "(pwd; ls -m /proc/$$/fd; readlink /proc/$$/fd/0 /proc/$$/fd/1 /proc/$$/fd/2 /proc/$$/fd/3;"
        " grep -E 'Sig(Blk|Ign)' /proc/$$/status;"
        " [ \"$(cut -d ' ' -f 6 /proc/$$/stat)\" = $$ ] && echo its own session) > said; exit 0");
    ::pthread_sigmask(SIG_SETMASK, &mask_before, nullptr);
    std::signal(SIGPIPE, before);
    const std::string path = folder.path();
    const std::string none = "\t0000000000000000\n";
    CHECK(said == path + "\n0, 1, 2, 3, 4\n/dev/null\n/dev/null\n/dev/null\n" + path + "/lock\n" +
                      "SigBlk:" + none + "SigIgn:" + none + "its own session\n");
}

TEST_CASE("a program that cannot be run is no process") {
    const Folder folder;
    try {
        static_cast<void>(folder.spawn({"/none/such"}));
        FAIL("it was run");
    } catch (const std::system_error& error) {
        CHECK(error.code().value() == ENOENT);
        CHECK(std::string{error.what()}.starts_with("cannot run /none/such"));
    }
    CHECK_FALSE(folder.is_locked());
}

TEST_CASE("a supervisor is made in a cgroup of version 2") {
    const fs::path cgroup = make_cgroup();
    if (cgroup.empty()) {
        return;
    }
    const host::UniqueFd opened{::open(cgroup.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    const Folder folder;
    const std::string said = folder.said_by("cat /proc/self/cgroup > said", opened.get());
    CHECK(said.find("0::/" + cgroup.filename().string() + "\n") != std::string::npos);
    // A process leaves its cgroup a moment after its end.
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds{10};
    while (::rmdir(cgroup.c_str()) != 0 && std::chrono::steady_clock::now() < deadline) {
        std::this_thread::yield();
    }
    CHECK_FALSE(fs::exists(cgroup));
}

}  // namespace shoal::node::test
