// shoal-vmm's command line: two ways to use it, and what is refused.
#include "vmm/options.h"

#include <doctest/doctest.h>

#include <vector>

#include "vmm/machine/boot_time.h"

namespace shoal::vmm {
namespace {

Options parse(std::vector<std::string> words) {
    words.insert(words.begin(), "shoal-vmm");
    std::vector<char*> args;
    for (std::string& word : words) {
        args.push_back(word.data());
    }
    args.push_back(nullptr);
    return parse_options({args.data(), words.size()});
}

ExitCode code_of(std::vector<std::string> words) {
    try {
        static_cast<void>(parse(std::move(words)));
    } catch (const OptionsError& error) {
        CHECK(std::string{error.what()}.find('\n') == std::string::npos);
        return error.code;
    }
    FAIL("it was taken");
    return ExitCode::failure;
}

TEST_CASE("with --kernel the options describe the microVM") {
    const auto options = std::get<DirectOptions>(
        parse({"--kernel", "k", "--initrd", "i", "--memory", "64", "--vcpus=2", "--console",
               "virtio", "--timeout", "1.5", "--timing", "--boot-timer", "--start-time-us", "7"}));
    CHECK(options.kernel == "k");
    CHECK(options.root_image.empty());
    CHECK(options.initrd == "i");
    CHECK(options.memory_mib == 64);
    CHECK(options.vcpus == 2);
    CHECK(options.console == Console::virtio);
    CHECK(options.timing);
    CHECK(options.boot_timer);
    CHECK(options.start_time_us == 7);
    CHECK(std::get<DirectOptions>(parse({"--kernel=k"})).memory_mib == 128);
}

TEST_CASE("a warm process has a shape") {
    const auto shape_of = [](std::vector<std::string> words) {
        return std::get<ApiOptions>(parse(std::move(words))).warm;
    };
    CHECK_FALSE(shape_of({"--id", "i"}));
    const std::vector<std::vector<std::string>> defaults{{"--warm"}, {"--warm", "--id", "i"}};
    for (const auto& words : defaults) {
        const auto shape = shape_of(words);
        REQUIRE(shape);
        CHECK(shape->vcpu_count == 1);
        CHECK(shape->mem_size_mib == 128);
    }
    const auto shape = shape_of({"--warm", "32,4294967295"});
    REQUIRE(shape);
    CHECK(shape->vcpu_count == 32);
    CHECK(shape->mem_size_mib == 4294967295);
    for (const char* word : {"0,1", "33,1", "257,1", "1,0", "1,4294967296", "1", "1,", ",1",
                             "1,1,1", "1, 1", "x", "1,18446744073709551616"}) {
        CAPTURE(word);
        CHECK(code_of({"--warm", word}) == ExitCode::bad_arguments);
    }
}

TEST_CASE("with two files a memory file is rebased") {
    const auto options = std::get<RebaseOptions>(parse({"--rebase", "b", "--diff", "d"}));
    CHECK(options.base == "b");
    CHECK(options.difference == "d");
    CHECK(code_of({"--rebase", "b"}) == ExitCode::bad_arguments);
    CHECK(code_of({"--diff", "d"}) == ExitCode::bad_arguments);
}

TEST_CASE("a vsock device is named by its unix socket") {
    CHECK(std::get<DirectOptions>(parse({"--kernel", "k"})).vsock.empty());
    CHECK(std::get<DirectOptions>(parse({"--kernel", "k", "--vsock", "v.sock"})).vsock == "v.sock");
    CHECK(code_of({"--vsock", "v.sock"}) == ExitCode::bad_arguments);
}

TEST_CASE("disks are a root image and any number of others") {
    const auto options = std::get<DirectOptions>(
        parse({"--kernel", "k", "--root", "r", "--disk", "a", "--disk", "b,ro"}));
    CHECK(options.root_image == "r");
    CHECK(options.disks == std::vector<std::string>{"a", "b,ro"});
    CHECK(code_of({"--disk", "a"}) == ExitCode::bad_arguments);
}

TEST_CASE("without it they are Firecracker's") {
    const auto standard = std::get<ApiOptions>(parse({}));
    CHECK(standard.socket_path == "/run/firecracker.socket");
    CHECK(standard.instance_id == "anonymous-instance");
    CHECK(standard.max_body_bytes == 51200);
    CHECK_FALSE(standard.log.level);
    CHECK_FALSE(standard.log.show_level);

    const auto options = std::get<ApiOptions>(parse({"--api-sock",
                                                     "/tmp/s",
                                                     "--id",
                                                     "vm-1",
                                                     "--config-file",
                                                     "c",
                                                     "--log-path",
                                                     "l",
                                                     "--level",
                                                     "wArning",
                                                     "--module",
                                                     "vmm/api",
                                                     "--show-level",
                                                     "--show-log-origin",
                                                     "--metrics-path",
                                                     "m",
                                                     "--http-api-max-payload-size",
                                                     "250",
                                                     "--boot-timer",
                                                     "--start-time-us",
                                                     "1",
                                                     "--start-time-cpu-us",
                                                     "2",
                                                     "--parent-cpu-time-us",
                                                     "3",
                                                     "--no-seccomp"}));
    CHECK(options.socket_path == "/tmp/s");
    CHECK(options.instance_id == "vm-1");
    CHECK(options.log.instance_id == "vm-1");
    CHECK(options.config_path == "c");
    CHECK(options.log.path == "l");
    CHECK(options.log.level == host::LogLevel::warn);
    CHECK(options.log.module == "vmm/api");
    CHECK(options.log.show_level == true);
    CHECK(options.log.show_origin == true);
    CHECK(options.metrics_path == "m");
    CHECK(options.max_body_bytes == 250);
    CHECK(options.boot_timer);
    CHECK(options.start_time_us == 1);
    CHECK(options.start_time_cpu_us == 2);
    CHECK(options.parent_cpu_time_us == 3);
    CHECK(options.jail.filters == jail::Filters::off);
    CHECK(std::get<ApiOptions>(parse({"--config-file", "c", "--no-api"})).socket_path.empty());
}

TEST_CASE(
    "the API may be on a connection that is open already, and then on a path if one is given") {
    const auto options = std::get<ApiOptions>(parse({"--api-fd", "7", "--ready-fd", "8"}));
    CHECK(options.connection == 7);
    CHECK(options.ready_fd == 8);
    CHECK(options.socket_path.empty());
    CHECK(std::get<ApiOptions>(parse({"--api-fd", "7", "--api-sock", "p"})).socket_path == "p");
    CHECK_THROWS_AS(parse({"--api-fd", "-1"}), OptionsError);
}

TEST_CASE("what cannot be is refused with Firecracker's exit code") {
    CHECK(code_of({"--no-such-option"}) == ExitCode::bad_arguments);
    CHECK(code_of({"word"}) == ExitCode::bad_arguments);
    CHECK(code_of({"--no-api"}) == ExitCode::bad_arguments);
    CHECK(code_of({"--memory", "64"}) == ExitCode::bad_arguments);
    CHECK(code_of({"--kernel", "k", "--api-sock", "s"}) == ExitCode::bad_arguments);
    CHECK(code_of({"--kernel"}) == ExitCode::bad_arguments);
    CHECK(code_of({"--http-api-max-payload-size", "many"}) == ExitCode::bad_arguments);
    CHECK(code_of({"--start-time-us", "-1"}) == ExitCode::bad_arguments);
    CHECK(code_of({"--level", "loud"}) == ExitCode::bad_configuration);
    for (const char* id : {"", "a_b", "a b", "\xc3\xa4"}) {
        CHECK(code_of({std::string{"--id="} + id}) == ExitCode::bad_arguments);
    }
    CHECK(code_of({"--id", std::string(65, 'a')}) == ExitCode::bad_arguments);
    CHECK_NOTHROW(static_cast<void>(parse({"--id", std::string(64, 'a')})));
}

TEST_CASE("system call filters are on, off, or somebody else's") {
    const auto default_filters = jail::JailOptions{}.filters;
    CHECK(std::get<ApiOptions>(parse({})).jail.filters == default_filters);
    CHECK(std::get<DirectOptions>(parse({"--kernel", "k"})).jail.filters == default_filters);
    const auto off = std::get<DirectOptions>(parse({"--kernel", "k", "--no-seccomp"}));
    CHECK(off.jail.filters == jail::Filters::off);
    const auto other = std::get<ApiOptions>(parse({"--seccomp-filter", "f"}));
    CHECK(other.jail.filters == jail::Filters::on);
    CHECK(other.jail.filter_path == "f");
    const auto narrow = std::get<ApiOptions>(parse({"--allow", "/a", "--allow", "/b"}));
    CHECK(narrow.jail.allowed_paths == std::vector<std::string>{"/a", "/b"});
    CHECK(code_of({"--kernel", "k", "--allow", "/a"}) == ExitCode::bad_arguments);
    CHECK(code_of({"--seccomp-filter", "f", "--no-seccomp"}) == ExitCode::bad_arguments);
}

TEST_CASE("what is still to come is refused by name") {
    for (const char* name : {"--metadata=f", "--mmds-size-limit=1", "--enable-pci"}) {
        CHECK(code_of({name}) == ExitCode::bad_arguments);
    }
}

TEST_CASE("versions of snapshots are asked for without a microVM") {
    CHECK(std::get<PrintOptions>(parse({"--snapshot-version"})).text == "v1.0.0\n");
    CHECK(std::get<DescribeOptions>(parse({"--describe-snapshot", "f"})).state == "f");
    CHECK(code_of({"--describe-snapshot"}) == ExitCode::bad_arguments);
}

TEST_CASE("a kernel is looked at without a microVM") {
    CHECK(std::get<CheckOptions>(parse({"--check-kernel", "k"})).kernel == "k");
    CHECK(code_of({"--check-kernel"}) == ExitCode::bad_arguments);
}

TEST_CASE("the version's first line is the one that Firecracker's clients look for") {
    const auto text = std::get<PrintOptions>(parse({"--version"})).text;
    CHECK(text.starts_with("Firecracker v1.17.0-dev\n"));
    CHECK(text.find("\nshoal-vmm ") != std::string::npos);
    CHECK(std::get<PrintOptions>(parse({"--help"})).text.find("--api-sock") != std::string::npos);
    CHECK(std::get<PrintOptions>(parse({"--help"})).text.find("--kernel") != std::string::npos);
}

TEST_CASE("the boot time is logged as Firecracker does") {
    CHECK(boot_time_line({1000, 500}, {125'456, 6'500}) ==
          "Guest-boot-time = 124456 us 124 ms,   6000 CPU us 6 CPU ms");
    const ProcessTimes first = ProcessTimes::now();
    const ProcessTimes second = ProcessTimes::now();
    CHECK(second.monotonic_us >= first.monotonic_us);
    CHECK(second.cpu_us >= first.cpu_us);
}

}  // namespace
}  // namespace shoal::vmm
