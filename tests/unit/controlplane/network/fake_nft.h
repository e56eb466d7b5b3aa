// FakeNft: a program called nft, first on PATH, that writes down what it is told and does not end
// before the test says how.
#pragma once

#include <doctest/doctest.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <fstream>
#include <iterator>
#include <string>

#include "devices/host/os_error.h"
#include "devices/host/unique_fd.h"
#include "tests/unit/controlplane/store/event_loop_runner.h"
#include "tests/unit/controlplane/store/scratch_folder.h"

namespace shoal::network::test {

class FakeNft {
public:
    FakeNft() : path_{::getenv("PATH")} {
        // The shell itself waits at the gate: when it is killed, nobody is left.
        std::ofstream{scratch_.file("nft")} << "#!/bin/sh\ncd " << scratch_.file("")
                                            << " && cat > rules && echo $$ >> runs &&"
                                               " read code words < gate && echo \"$words\" &&"
                                               " echo '    ^^^' && exit $code\n";
        host::check_os(::chmod(scratch_.file("nft").c_str(), 0700), "chmod");
        host::check_os(::mkfifo(scratch_.file("gate").c_str(), 0600), "mkfifo");
        ::setenv("PATH", (scratch_.file("") + ":" + path_).c_str(), 1);
    }
    FakeNft(const FakeNft&) = delete;
    FakeNft& operator=(const FakeNft&) = delete;
    ~FakeNft() { ::setenv("PATH", path_.c_str(), 1); }

    // Until it waits at its gate, which is then kept.
    void wait_at_gate(store::test::EventLoopRunner& runner) {
        runner.run_until([this] {
            gate_ = host::UniqueFd{
                ::open(scratch_.file("gate").c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC)};
            return static_cast<bool>(gate_);
        });
    }
    // How it ends: its code, and what it says.
    void open_gate(const std::string& words) {
        REQUIRE(::write(gate_.get(), (words + "\n").c_str(), words.size() + 1) ==
                static_cast<ssize_t>(words.size() + 1));
        gate_ = {};
    }
    // What the last one was told.
    [[nodiscard]] std::string rules() const { return read("rules"); }
    [[nodiscard]] std::size_t runs() const {
        const std::string pids = read("runs");
        return static_cast<std::size_t>(std::ranges::count(pids, '\n'));
    }
    // Whether the last one is gone, and was waited for.
    [[nodiscard]] bool is_gone() const {
        std::string pids = read("runs");
        REQUIRE(!pids.empty());
        pids.pop_back();
        return ::kill(std::stoi(pids.substr(pids.rfind('\n') + 1)), 0) < 0 && errno == ESRCH;
    }

private:
    [[nodiscard]] std::string read(const std::string& name) const {
        std::ifstream file{scratch_.file(name)};
        return {std::istreambuf_iterator<char>{file}, {}};
    }

    store::test::ScratchFolder scratch_;
    std::string path_;
    host::UniqueFd gate_;
};

}  // namespace shoal::network::test
