// `shoal`'s command line: where options end, and which words are refused.
#include "controlplane/cli/options.h"

#include <doctest/doctest.h>

#include "controlplane/cli/cli_error.h"

namespace shoal::cli {
namespace {

Command parse(std::vector<std::string> words) {
    words.insert(words.begin(), "shoal");
    std::vector<char*> args;
    for (std::string& word : words) {
        args.push_back(word.data());
    }
    return parse_command_line(args);
}

RunOptions parse_run(std::vector<std::string> words) {
    words.insert(words.begin(), "run");
    return std::get<RunOptions>(parse(std::move(words)));
}

using Words = std::vector<std::string>;

TEST_CASE("run without options has 128 MiB, one vCPU and no surprises") {
    const RunOptions options = parse_run({"prog"});
    CHECK(options.memory_mib == 128);
    CHECK(options.vcpus == 1);
    CHECK(options.env.empty());
    CHECK(options.root.empty());
    CHECK(options.timeout_s.empty());
    CHECK_FALSE(options.timing);
    CHECK_FALSE(options.trace_syscalls);
    CHECK_FALSE(options.exec);
    CHECK(options.program == "prog");
    CHECK(options.words.empty());
}

TEST_CASE("run takes every option before the program") {
    const RunOptions options = parse_run(
        {"--memory", "64",       "--vcpus=2",        "--env",   "A=B",    "--env", "C=D=E",
         "--root",   "/r",       "--disk",           "d",       "--disk", "e,ro",  "--timeout",
         "1.5",      "--timing", "--trace-syscalls", "--vsock", "v.sock", "prog"});
    CHECK(options.memory_mib == 64);
    CHECK(options.vcpus == 2);
    CHECK(options.env == Words{"A=B", "C=D=E"});
    CHECK(options.root == "/r");
    CHECK(options.disks == Words{"d", "e,ro"});
    CHECK(options.vsock == "v.sock");
    CHECK(options.timeout_s == "1.5");
    CHECK(options.timing);
    CHECK(options.trace_syscalls);
    CHECK(options.program == "prog");
}

TEST_CASE("a kernel runs instead of a program, and takes none of its options") {
    const RunOptions options =
        parse_run({"--kernel", "k", "--initramfs", "i", "--cmdline", "a -- b", "--root", "r",
                   "--disk", "d", "--vsock", "v.sock"});
    CHECK(options.kernel == "k");
    CHECK(options.initramfs == "i");
    CHECK(options.cmdline == "a -- b");
    CHECK(options.root == "r");
    CHECK(options.program.empty());
    CHECK(parse_run({"--kernel", "k"}).cmdline == model::default_cmdline);
    for (const Words& words : {Words{"--kernel", "k", "prog"},
                               {"--kernel", "k", "--", "prog"},
                               {"--kernel", "k", "--env", "A=B"},
                               {"--kernel", "k", "--timing"},
                               {"--kernel", "k", "--timeout", "1"},
                               {"--kernel", "k", "--vsock", "v", "--exec"},
                               {"--initramfs", "i", "prog"},
                               {"--cmdline", "x", "prog"}}) {
        CHECK_THROWS_AS(parse_run(words), CliError);
    }
}

TEST_CASE("what a VMM may open is said path by path, with a kernel and with a program") {
    const Words paths{"/a", "/b,ro"};
    CHECK(parse_run({"--api-sock", "s", "--allow", "/a", "--allow", "/b,ro", "prog", "--allow"})
              .allowed == paths);
    CHECK(parse_run({"--allow", "/a", "--allow", "/b,ro", "--kernel", "k"}).allowed == paths);
    CHECK(parse_run({"prog"}).allowed.empty());
}

TEST_CASE("exec needs a vsock device") {
    CHECK(parse_run({"--exec", "--vsock", "v.sock", "prog"}).exec);
    CHECK_THROWS_AS(parse_run({"--exec", "prog"}), CliError);
}

TEST_CASE("words after the program are the program's, whatever they look like") {
    CHECK(parse_run({"prog", "--memory", "7", "-h", "--", "x"}).words ==
          Words{"--memory", "7", "-h", "--", "x"});
    CHECK(parse_run({"prog", "--memory", "7"}).memory_mib == 128);
    CHECK(parse_run({"prog", "", " "}).words == Words{"", " "});
    CHECK(parse_run({"run", "run"}).program == "run");
}

TEST_CASE("two dashes end the options") {
    const RunOptions options = parse_run({"--timing", "--", "-odd", "--", "z"});
    CHECK(options.timing);
    CHECK(options.program == "-odd");
    CHECK(options.words == Words{"--", "z"});
    CHECK(parse_run({"--", "--"}).program == "--");
}

TEST_CASE("a template is made of a program with most of run's options") {
    const auto options = std::get<SnapshotOptions>(
        parse({"snapshot", "--to", "t", "--memory", "64", "--compress", "--ready-line", "go now",
               "--vsock", "--timeout", "1.5", "--", "prog", "--to", "x"}));
    CHECK(options.folder == "t");
    CHECK(options.memory_mib == 64);
    CHECK(options.ready_line == "go now");
    CHECK(options.compress);
    CHECK(options.vsock);
    CHECK(options.timeout_s == 1.5);
    CHECK(options.program == "prog");
    CHECK(options.words == Words{"--to", "x"});
    CHECK_THROWS_AS(parse({"snapshot", "prog"}), CliError);
    CHECK_THROWS_AS(parse({"snapshot", "--to", "t"}), CliError);
}

TEST_CASE("clones are a number, and words for each of them") {
    const auto options = std::get<CloneOptions>(
        parse({"clone", "--from", "t", "--vsock", "v.", "20", "--", "--from", "{}"}));
    CHECK(options.folder == "t");
    CHECK(options.vsock == "v.");
    CHECK(options.count == 20);
    CHECK(options.words == Words{"--from", "{}"});
    CHECK(std::get<CloneOptions>(parse({"clone", "--from", "t", "1"})).words.empty());
    for (const char* count : {"-1", "x", "1x", "", "99999999999999999999"}) {
        CHECK_THROWS_AS(parse({"clone", "--from", "t", count}), CliError);
    }
    CHECK_THROWS_AS(parse({"clone", "5"}), CliError);
}

TEST_CASE("words that make no sense are refused") {
    CHECK_THROWS_AS(parse_run({}), CliError);
    CHECK_THROWS_AS(parse_run({"--"}), CliError);
    CHECK_THROWS_AS(parse({"fly"}), CliError);
    CHECK_THROWS_AS(parse({"--fly"}), CliError);
    CHECK_THROWS_AS(parse_run({"--fly", "prog"}), CliError);
    SUBCASE("memory") {
        for (const char* size : {"0", "-1", "", "x", "1x", "1.5", "99999999999999999999"}) {
            CHECK_THROWS_AS(parse_run({"--memory", size, "prog"}), CliError);
        }
        CHECK_THROWS_AS(parse_run({"--memory"}), CliError);
    }
    SUBCASE("vcpus") {
        for (const char* count : {"-1", "", "x", "1.5", "18446744073709551616"}) {
            CHECK_THROWS_AS(parse_run({"--vcpus", count, "prog"}), CliError);
        }
    }
    SUBCASE("timeout") {
        for (const char* seconds : {"0", "-1", "", "x", "nan", "1s"}) {
            CHECK_THROWS_AS(parse_run({"--timeout", seconds, "prog"}), CliError);
        }
    }
    SUBCASE("env") {
        for (const char* word : {"", "A", "=B", "="}) {
            CHECK_THROWS_AS(parse_run({"--env", word, "prog"}), CliError);
        }
    }
}

TEST_CASE("help and version are texts") {
    CHECK(std::get<ShowText>(parse({"--version"})).text.starts_with("shoal "));
    CHECK(std::get<ShowText>(parse({"--help"})).text.find("run") != std::string::npos);
    CHECK(std::get<ShowText>(parse({})).text.find("run") != std::string::npos);
    const std::string help = std::get<ShowText>(parse({"run", "--help"})).text;
    for (const char* option : {"--memory", "--vcpus", "--env", "--root", "--disk", "--timeout",
                               "--timing", "--trace-syscalls", "--vsock", "PROGRAM"}) {
        CHECK(help.find(option) != std::string::npos);
    }
}

}  // namespace
}  // namespace shoal::cli
