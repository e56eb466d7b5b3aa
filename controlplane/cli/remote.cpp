// One function for each verb.
#include "controlplane/cli/remote.h"

#include <unistd.h>

#include <algorithm>
#include <boost/json/serialize.hpp>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <optional>
#include <thread>
#include <utility>

#include "controlplane/cli/cli_error.h"
#include "controlplane/cli/console.h"
#include "controlplane/cli/document.h"
#include "controlplane/cli/exec.h"
#include "controlplane/cli/image_words.h"
#include "controlplane/cli/kinds.h"
#include "controlplane/cli/manifest.h"
#include "controlplane/cli/pages.h"
#include "controlplane/cli/top.h"

namespace shoal::cli {
namespace {

namespace json = boost::json;

void print(std::string_view text) {
    std::fwrite(text.data(), 1, text.size(), stdout);
}

json::value parse(const std::string& answer) {
    return parse_json(answer, "shoald's answer");
}

std::string path_of(Kind kind, const std::string& name) {
    return resource_of(kind).path + (name.empty() ? "" : "/" + percent_encode(name));
}

// A line where it is stopped.
void print_failover(const Client& client) {
    const json::value page =
        parse(client.call({"GET", resource_of(Kind::host).path + "?limit=1"}).body);
    const json::value* stopped = find(page, "failover_stopped");
    if (stopped != nullptr && stopped->is_string()) {
        print(text_of(stopped) + "\n");
    }
}

void run_verb(const Client& client, const GetOptions& options) {
    const bool is_one = !options.name.empty();
    json::array items;
    if (is_one) {
        const Reply reply = client.call({"GET", path_of(options.kind, options.name)});
        items.push_back(parse(reply.body));
    } else {
        const std::string query =
            options.label.empty() ? "" : "&label=" + percent_encode(options.label);
        items = all_pages(client, resource_of(options.kind).path, query);
    }
    if (options.output == Output::table) {
        print(to_table(items, resource_of(options.kind).columns));
        return is_one || options.kind != Kind::host ? void() : print_failover(client);
    }
    print((is_one ? json::serialize(items[0]) : json::serialize(items)) + "\n");
}

void run_verb(const Client& client, const DescribeOptions& options) {
    if (options.name.empty() && options.kind != Kind::host) {
        throw CliError("describe needs a NAME");
    }
    // Of a host without a name: the one that answers.
    const Reply reply = client.call(
        {"GET", options.name.empty() ? "/v1/host" : path_of(options.kind, options.name)});
    print(to_description(parse(reply.body)));
}

std::string read_file(const std::string& path) {
    if (path == "-") {
        return {std::istreambuf_iterator<char>{std::cin}, std::istreambuf_iterator<char>{}};
    }
    std::ifstream file{path, std::ios::binary};
    if (!file) {
        throw CliError("cannot read " + path);
    }
    return {std::istreambuf_iterator<char>{file}, std::istreambuf_iterator<char>{}};
}

// Of what a file may describe.
std::optional<Kind> kind_of(const std::string& name) {
    for (const Kind kind : {Kind::microvm, Kind::group, Kind::template_, Kind::image, Kind::volume,
                            Kind::network, Kind::project}) {
        if (name == resource_of(kind).name) {
            return kind;
        }
    }
    return std::nullopt;
}

void print_created(const ApplyOptions& options, const std::string& list) {
    if (options.output == Output::json) {
        return print(list + "\n");
    }
    const json::value microvms = parse(list);
    for (const json::value& microvm : microvms.at("items").as_array()) {
        print("microvm " + text_of(find(microvm, "name")) + " created\n");
    }
}

// {"kind": "microvm", "spec": {...}}
// The name that it has.
std::string apply_one(const Client& client, const ApplyOptions& options,
                      const json::value& object) {
    const std::string kind_name = text_of(find(object, "kind"));
    const json::value* spec = find(object, "spec");
    const auto kind = kind_of(kind_name);
    if (!kind || spec == nullptr || !spec->is_object() || object.get_object().size() != 2) {
        throw CliError(options.file +
                       R"(: an object is {"kind": "microvm" or another, "spec": {...}})");
    }
    const std::string name = find(*spec, "name") == nullptr ? "" : text_of(find(*spec, "name"));
    Call call{"POST", resource_of(*kind).path, json::serialize(*spec)};
    if (options.mode == ApplyOptions::Mode::apply) {
        if (name.empty()) {
            throw CliError(options.file + ": what is applied needs a spec.name");
        }
        call.method = "PUT";
        call.target = path_of(*kind, name);
    }
    if (options.count) {
        if (*kind != Kind::microvm || options.waits) {
            throw CliError("--count is for microVMs, without --wait");
        }
        call.target += "?count=" + std::to_string(*options.count);
    }
    if (options.is_dry_run) {
        call.target += options.count ? "&dry_run=true" : "?dry_run=true";
    }
    const Reply reply = client.call(call);
    if (options.is_dry_run) {
        print(options.output == Output::json ? reply.body + "\n"
                                             : kind_name + " " + name + " is possible\n");
        return name;
    }
    if (options.count) {
        print_created(options, reply.body);
        return name;
    }
    std::string made = text_of(find(parse(reply.body), "name"));
    if (options.waits) {
        return made;
    }
    print(options.output == Output::json
              ? reply.body + "\n"
              : kind_name + " " + made + (reply.status == 201 ? " created\n" : " applied\n"));
    return made;
}

// Its output, as it comes, until it has ended; then its exit code.
int run_verb(const Client& client, const WaitOptions& options) {
    const std::string path = path_of(Kind::microvm, options.name);
    client.stream({"GET", path + "/logs?follow=true"}, [](std::string_view piece) {
        print(piece);
        std::fflush(stdout);
    });
    const json::value microvm = parse(client.call({"GET", path}).body);
    const json::value* code = find(microvm, "status.exit_code");
    if (code == nullptr || !code->is_int64()) {
        throw CliError("microVM " + options.name + " has not ended");
    }
    return static_cast<int>(code->get_int64());
}

int run_verb(const Client& client, const ApplyOptions& options) {
    const json::array objects = parse_manifest(read_file(options.file), options.file);
    if (options.waits) {
        if (objects.size() != 1 || text_of(find(objects[0], "kind")) != "microvm") {
            throw CliError("--wait is for one microVM");
        }
        return run_verb(client, WaitOptions{apply_one(client, options, objects[0])});
    }
    for (const json::value& object : objects) {
        apply_one(client, options, object);
    }
    return 0;
}

void run_verb(const Client& client, const TopOptions& options) {
    top(client, options);
}

void run_verb(const Client& client, const CallOptions& options) {
    const std::string target = path_of(Kind::microvm, options.name) +
                               "/call?port=" + std::to_string(options.port) +
                               "&timeout_s=" + std::to_string(options.timeout_s);
    print(client.call({"POST", target, read_file("-")}).body);
}

int run_verb(const Client& client, const ExecOptions& options) {
    return exec(client, options, path_of(Kind::microvm, options.name) + "/exec");
}

int run_verb(const Client& client, const ConsoleOptions& options) {
    return console(client, options, path_of(Kind::microvm, options.name) + "/console");
}

void run_verb(const Client& client, const StopOptions& options) {
    const std::string query = "?grace_s=" + std::to_string(options.grace_s);
    for (const std::string& name : options.names) {
        client.call({"POST", path_of(Kind::microvm, name) + "/stop" + query});
        print("microvm " + name + " is being stopped\n");
    }
}

void run_verb(const Client& client, const LogsOptions& options) {
    const std::string query = options.until == LogsOptions::Until::end ? "?follow=true" : "";
    client.stream({"GET", path_of(Kind::microvm, options.name) + "/logs" + query},
                  [](std::string_view piece) {
                      print(piece);
                      std::fflush(stdout);
                  });
}

void run_verb(const Client& client, const DeleteOptions& options) {
    const std::string query = options.kind == Kind::microvm
                                  ? "?grace_s=" + std::to_string(options.grace_s)
                                  : std::string{};
    for (const std::string& name : options.names) {
        client.call({"DELETE", path_of(options.kind, name) + query});
        print(resource_of(options.kind).name + " " + name + " is being deleted\n");
    }
}

void run_verb(const Client& client, const ScaleOptions& options) {
    const std::string path = path_of(Kind::group, options.group);
    json::value group = parse(client.call({"GET", path}).body);
    json::object spec = group.at("spec").as_object();
    spec["count"] = options.count;
    client.call({"PUT", path, json::serialize(spec), text_of(find(group, "resource_version"))});
    print("group " + options.group + " scaled to " + std::to_string(options.count) + "\n");
}

// How far a drain is, in one line, and whether nothing goes on.
struct DrainProgress {
    std::uint64_t left = 0;
    bool is_told = false;  // the leader has looked at it
    bool rests = false;
    std::string line;
    std::string stays;
};

DrainProgress drain_progress(const json::value& host) {
    DrainProgress progress;
    progress.left = host.at("used").at("microvms").to_number<std::uint64_t>();
    const json::value& drain = host.at("drain");
    const std::string left = std::to_string(progress.left) + " microVMs left";
    if (!drain.is_object()) {
        progress.line = left;
        progress.stays = "\n  nobody looks at it: there is no leader, or the host is " +
                         text_of(&host.at("health"));
        return progress;
    }
    progress.is_told = true;
    const auto moving = drain.at("moving").to_number<std::uint64_t>();
    const auto waiting = drain.at("waiting").to_number<std::uint64_t>();
    progress.rests = moving == 0 && waiting == 0;
    progress.line =
        left + ", " + std::to_string(moving) + " moving, " + std::to_string(waiting) + " waiting";
    for (const json::value& reason : drain.at("stays").as_array()) {
        progress.stays += "\n  " + text_of(&reason);
    }
    return progress;
}

void wait_for_drain(const Client& client, const std::string& host) {
    constexpr std::chrono::milliseconds period{100};
    // What stays may only be about to start, or to be tried again.
    constexpr std::chrono::seconds patience{15};
    auto moved_at = std::chrono::steady_clock::now();
    std::string told;
    for (;;) {
        const Reply reply = client.call({"GET", path_of(Kind::host, host)});
        const DrainProgress progress = drain_progress(parse(reply.body));
        if (progress.left == 0 && progress.rests) {
            return print("host " + host + " is drained\n");
        }
        const auto now = std::chrono::steady_clock::now();
        if (progress.line != std::exchange(told, progress.line)) {
            print(host + ": " + progress.line + "\n");
            std::fflush(stdout);
            moved_at = now;
        }
        if (progress.is_told && !progress.rests) {
            moved_at = now;
        } else if (now - moved_at > patience) {
            throw CliError(
                "host " + host +
                (progress.is_told ? " is not drained; these cannot leave:" : " is not drained:") +
                progress.stays);
        }
        std::this_thread::sleep_for(period);
    }
}

void run_verb(const Client& client, const ScheduleOptions& options) {
    json::object change{{"scheduling", options.scheduling}};
    client.call(
        {"PUT", path_of(Kind::host, options.host) + "/scheduling", json::serialize(change)});
    if (options.scheduling == "draining" && options.waits) {
        return wait_for_drain(client, options.host);
    }
    print("host " + options.host + " is " + options.scheduling + "\n");
}

void run_verb(const Client& client, const EventsOptions& options) {
    const std::string query = options.since ? "?since=" + std::to_string(*options.since) : "";
    client.stream({"GET", "/v1/events" + query}, [](std::string_view piece) {
        print(piece);
        std::fflush(stdout);
    });
}

void run_verb(const Client& client, const TokenOptions& options) {
    const json::object body{{"uses", options.uses}, {"ttl_s", options.ttl_s}};
    const Reply reply = client.call({"POST", "/v1/join-tokens", json::serialize(body)});
    print(text_of(find(parse_json(reply.body, "shoald's answer"), "token")) + "\n");
}

void run_verb(const Client& client, const ImportOptions& options) {
    const std::string from = with_absolute_path(options.from);
    const std::string name = options.name.empty() ? image_name(from) : options.name;
    json::object body{{"name", name}, {"from", from}};
    if (!options.cmdline.empty()) {
        body["cmdline"] = options.cmdline;
    }
    const json::value image =
        parse(client.call({"POST", resource_of(Kind::image).path, json::serialize(body)}).body);
    print("image " + name + " imported, sha256:" + text_of(find(image, "spec.digest")) + ", " +
          text_of(find(image, "spec.size_bytes")) + " bytes\n");
    if (const std::string user = text_of(find(image, "spec.user")); user != "-") {
        std::cerr << "shoal: image " << name << " is made for user " << user
                  << ", but its program is root: the unikernel has no other users\n";
    }
}

void run_verb(const Client& client, const BackupOptions& options) {
    const std::string path = std::filesystem::absolute(options.file);
    json::object body;
    body["path"] = path;
    client.call({"POST", "/v1/backup", json::serialize(body)});
    print("the store is copied into " + path + "\n");
}

}  // namespace

int run(const RemoteOptions& options) {
    const Client client{options.socket};
    return std::visit(
        [&client](const auto& verb) {
            if constexpr (requires { int{run_verb(client, verb)}; }) {
                return run_verb(client, verb);
            } else {
                run_verb(client, verb);
                return 0;
            }
        },
        options.verb);
}

}  // namespace shoal::cli
