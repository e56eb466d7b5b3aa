// A program in the place of `shoal snapshot`, which ends when the test says so.
#include "controlplane/template/template_maker.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <functional>
#include <optional>
#include <string>

#include "devices/host/os_error.h"
#include "devices/host/unique_fd.h"
#include "tests/unit/controlplane/store/event_loop_runner.h"
#include "tests/unit/controlplane/store/scratch_folder.h"

namespace shoal::templates {

TEST_CASE("the loop goes on while a program that has closed its output has not ended") {
    store::test::ScratchFolder scratch;
    const std::string program = scratch.file("shoal");
    const std::string gate = scratch.file("gate");
    std::ofstream{program} << "#!/bin/sh\necho the reason; exec > " << scratch.file("nobody")
                           << " 2>&1; code=$(timeout 20 cat " << gate << "); exit $code\n";
    host::check_os(::chmod(program.c_str(), 0700), "chmod");
    host::check_os(::mkfifo(gate.c_str(), 0600), "mkfifo");
    store::test::EventLoopRunner runner;
    boost::asio::thread_pool workers{1};
    const content::BundleFolder folder{bundle_kind, scratch.file("templates")};
    TemplateMaker maker{runner.context(), workers, folder, program};
    std::optional<std::string> failure;
    maker.make({}, [&](const content::MakeOutcome<model::Template>& outcome) {
        failure = outcome.failure;
    });

    host::UniqueFd opened;
    runner.run_until([&] {
        opened = host::UniqueFd{::open(gate.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC)};
        return static_cast<bool>(opened);
    });
    int ticks = 0;
    std::function<void()> tick = [&] {
        if (++ticks < 20) {
            runner.loop().call_after(std::chrono::milliseconds{1}, tick);
        }
    };
    tick();
    runner.run_until([&] { return ticks == 20; });
    CHECK_FALSE(failure.has_value());
    REQUIRE(::write(opened.get(), "3", 1) == 1);
    opened = {};
    runner.run_until([&] { return failure.has_value(); });
    CHECK(*failure == "the reason");
}

}  // namespace shoal::templates
