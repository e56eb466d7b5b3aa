#include "controlplane/cli/remote_options.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "controlplane/cli/cli_error.h"
#include "controlplane/cli/options.h"

namespace shoal::cli {
namespace {

Command parse(std::vector<std::string> words) {
    words.insert(words.begin(), "shoal");
    std::vector<char*> args;
    args.reserve(words.size());
    for (std::string& word : words) {
        args.push_back(word.data());
    }
    return parse_command_line(args);
}

template <typename Verb>
Verb parse_verb(std::vector<std::string> words) {
    return std::get<Verb>(std::get<RemoteOptions>(parse(std::move(words))).verb);
}

TEST_CASE("verbs that ask shoald are told apart, with their words and defaults") {
    const auto get = parse_verb<GetOptions>({"get", "vms", "-l", "tier=web", "-o", "json"});
    CHECK(get.kind == Kind::microvm);
    CHECK(get.name.empty());
    CHECK(get.label == "tier=web");
    CHECK(get.output == Output::json);
    CHECK(parse_verb<GetOptions>({"get", "group", "g"}).name == "g");
    CHECK(parse_verb<GetOptions>({"get", "host"}).output == Output::table);
    CHECK(parse_verb<ApplyOptions>({"create", "-f", "x"}).mode == ApplyOptions::Mode::create);
    CHECK(parse_verb<ApplyOptions>({"apply", "-f", "-"}).file == "-");
    CHECK(parse_verb<LogsOptions>({"logs", "a"}).until == LogsOptions::Until::now);
    CHECK(parse_verb<LogsOptions>({"logs", "a", "-f"}).until == LogsOptions::Until::end);
    const auto deleted = parse_verb<DeleteOptions>({"delete", "vm", "a", "b", "--grace", "3"});
    CHECK(deleted.names == std::vector<std::string>{"a", "b"});
    CHECK(deleted.grace_s == 3);
    CHECK(parse_verb<ScaleOptions>({"scale", "g", "7"}).count == 7);
    CHECK_FALSE(parse_verb<EventsOptions>({"events"}).since);
    CHECK(parse_verb<EventsOptions>({"events", "--since", "5"}).since == 5);
    CHECK(parse_verb<ApplyOptions>({"create", "-f", "x", "--wait"}).waits);
    CHECK(parse_verb<ApplyOptions>({"apply", "-f", "x", "--dry-run"}).is_dry_run);
    CHECK(parse_verb<ApplyOptions>({"create", "-f", "x", "--count", "7"}).count == 7);
    CHECK(parse_verb<TopOptions>({"top", "-n", "3", "--interval", "5"}).count == 3);
    const std::string script = std::get<ShowText>(parse({"completion", "bash"})).text;
    CHECK(script.find("delete) words=\"--help -h --socket --grace") != std::string::npos);
    CHECK(script.find("--memory") != std::string::npos);
    CHECK_THROWS_AS(static_cast<void>(parse({"completion", "fish"})), CliError);
    CHECK(parse_verb<WaitOptions>({"wait", "a"}).name == "a");
    const auto call = parse_verb<CallOptions>({"call", "a", "7", "--timeout", "5"});
    CHECK(call.name == "a");
    CHECK(call.port == 7);
    CHECK(call.timeout_s == 5);
    const auto console = parse_verb<ConsoleOptions>({"console", "a"});
    CHECK(console.name == "a");
    CHECK(console.tail == 10);
    CHECK_FALSE((console.is_raw || console.is_forced));
    const auto forced =
        parse_verb<ConsoleOptions>({"console", "a", "--tail", "0", "--raw", "--force"});
    CHECK(forced.tail == 0);
    CHECK((forced.is_raw && forced.is_forced));
    CHECK_THROWS_AS(static_cast<void>(parse({"console", "a", "--tail", "1001"})), CliError);
    const auto exec = parse_verb<ExecOptions>(
        {"exec", "--cwd", "/d", "--env", "A=1", "--env", "B=2", "a", "--", "sh", "-c", "--", "-x"});
    CHECK(exec.name == "a");
    CHECK(exec.folder == "/d");
    CHECK(exec.env == std::vector<std::string>{"A=1", "B=2"});
    CHECK(exec.words == std::vector<std::string>{"sh", "-c", "--", "-x"});
    const auto stop = parse_verb<StopOptions>({"stop", "a", "b", "--grace", "0"});
    CHECK(stop.names == std::vector<std::string>{"a", "b"});
    CHECK(stop.grace_s == 0);
    CHECK(std::get<RemoteOptions>(parse({"get", "vms", "--socket", "/x"})).socket == "/x");
}

TEST_CASE("an image is imported from one source") {
    const auto import = [](std::vector<std::string> words) {
        words.insert(words.begin(), {"image", "import"});
        return parse_verb<ImportOptions>(std::move(words));
    };
    CHECK(import({"oci:a"}).from == "oci:a");
    const auto kernel = import({"--kernel", "vmlinuz", "--cmdline", "a b", "--name", "k"});
    CHECK(kernel.from == "kernel:vmlinuz");
    CHECK(kernel.cmdline == "a b");
    CHECK(kernel.name == "k");
    CHECK(import({"--initramfs", "/i"}).from == "initramfs:/i");
    for (const std::vector<std::string>& words : {std::vector<std::string>{},
                                                  {"oci:a", "--kernel", "k"},
                                                  {"--kernel", "k", "--initramfs", "i"},
                                                  {"oci:a", "--cmdline", "x"}}) {
        CHECK_THROWS_AS(static_cast<void>(import(words)), CliError);
    }
}

TEST_CASE("verbs with wrong words are refused") {
    for (const std::vector<std::string>& words : {std::vector<std::string>{"get"},
                                                  {"get", "pods"},
                                                  {"get", "vms", "-o", "xml"},
                                                  {"create"},
                                                  {"delete", "vm"},
                                                  {"scale", "g"},
                                                  {"scale", "g", "-1"},
                                                  {"logs"},
                                                  {"describe"},
                                                  {"backup"},
                                                  {"token", "--uses", "-1"},
                                                  {"token", "x"},
                                                  {"apply", "-f", "x", "--wait"},
                                                  {"exec", "a"},
                                                  {"exec", "a", "-x"},
                                                  {"stop"},
                                                  {"call", "a"},
                                                  {"call", "a", "x"},
                                                  {"events", "--since", "x"}}) {
        CAPTURE(words[0]);
        CHECK_THROWS_AS(static_cast<void>(parse(words)), CliError);
    }
}

}  // namespace
}  // namespace shoal::cli
