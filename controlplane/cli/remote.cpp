// One function for each verb.
#include "controlplane/cli/remote.h"

#include <unistd.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <optional>

#include "controlplane/cli/cli_error.h"
#include "controlplane/cli/document.h"

namespace shoal::cli {
namespace {

namespace json = boost::json;

void print(std::string_view text) {
    std::fwrite(text.data(), 1, text.size(), stdout);
}

json::value parse(const std::string& text, const std::string& what) {
    json::error_code error;
    json::value document = json::parse(text, error);
    if (error) {
        throw CliError(what + " is not JSON: " + error.message());
    }
    return document;
}

std::string collection(Kind kind) {
    switch (kind) {
        case Kind::microvm:
            return "/v1/microvms";
        case Kind::group:
            return "/v1/groups";
        case Kind::template_:
            return "/v1/templates";
        case Kind::host:
            break;
    }
    return "/v1/host";
}

std::string name_of(Kind kind) {
    switch (kind) {
        case Kind::microvm:
            return "microvm";
        case Kind::group:
            return "group";
        case Kind::template_:
            return "template";
        case Kind::host:
            break;
    }
    return "host";
}

std::string path_of(Kind kind, const std::string& name) {
    return collection(kind) + (name.empty() ? "" : "/" + percent_encode(name));
}

std::vector<Column> columns_of(Kind kind) {
    switch (kind) {
        case Kind::microvm:
            return {{"NAME", "name"},
                    {"PHASE", "status.phase"},
                    {"RESTARTS", "status.restarts"},
                    {"EXIT", "status.exit_code"},
                    {"MIB", "spec.memory_mib"},
                    {"GROUP", "spec.group"},
                    {"PROGRAM", "spec.program"},
                    {"REASON", "status.reason"}};
        case Kind::group:
            return {{"NAME", "name"},
                    {"COUNT", "spec.count"},
                    {"RUNNING", "members.running"},
                    {"PENDING", "members.pending"},
                    {"ENDED", "members.ended"},
                    {"PROGRAM", "spec.microvm.program"}};
        case Kind::template_:
            return {{"NAME", "name"},          {"MIB", "spec.memory_mib"},
                    {"VCPUS", "spec.vcpus"},   {"BYTES", "spec.size_bytes"},
                    {"DIGEST", "spec.digest"}, {"PROGRAM", "spec.program"}};
        case Kind::host:
            break;
    }
    return {{"NAME", "name"},
            {"MICROVMS", "used.microvms"},
            {"MIB USED", "used.memory_mib"},
            {"MIB", "allocatable.memory_mib"},
            {"CPU MILLIS USED", "used.vcpu_millis"},
            {"CPU MILLIS", "allocatable.vcpu_millis"}};
}

// All pages of a list.
json::array list(const Client& client, const GetOptions& options) {
    json::array items;
    std::string after;
    do {
        std::string target = collection(options.kind) + "?after=" + percent_encode(after);
        if (!options.label.empty()) {
            target += "&label=" + percent_encode(options.label);
        }
        json::value page = parse(client.call({"GET", target}).body, "shoald's answer");
        for (json::value& item : page.at("items").as_array()) {
            items.push_back(std::move(item));
        }
        const json::value& next = page.at("next");
        after = next.is_string() ? std::string{next.get_string()} : "";
    } while (!after.empty());
    return items;
}

void run_verb(const Client& client, const GetOptions& options) {
    const bool is_one = !options.name.empty() || options.kind == Kind::host;
    json::array items;
    if (is_one) {
        const Reply reply = client.call({"GET", path_of(options.kind, options.name)});
        items.push_back(parse(reply.body, "shoald's answer"));
    } else {
        items = list(client, options);
    }
    if (options.output == Output::table) {
        return print(to_table(items, columns_of(options.kind)));
    }
    print((is_one ? json::serialize(items[0]) : json::serialize(items)) + "\n");
}

void run_verb(const Client& client, const DescribeOptions& options) {
    if (options.name.empty() && options.kind != Kind::host) {
        throw CliError("describe needs a NAME");
    }
    const Reply reply = client.call({"GET", path_of(options.kind, options.name)});
    print(to_description(parse(reply.body, "shoald's answer")));
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

std::optional<Kind> kind_of(const std::string& name) {
    for (const Kind kind : {Kind::microvm, Kind::group, Kind::template_}) {
        if (name == name_of(kind)) {
            return kind;
        }
    }
    return std::nullopt;
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
                       R"(: an object is {"kind": "microvm", "group" or "template", )" +
                       R"("spec": {...}})");
    }
    const std::string name = find(*spec, "name") == nullptr ? "" : text_of(find(*spec, "name"));
    Call call{"POST", collection(*kind), json::serialize(*spec)};
    if (options.mode == ApplyOptions::Mode::apply) {
        if (name.empty()) {
            throw CliError(options.file + ": what is applied needs a spec.name");
        }
        call.method = "PUT";
        call.target = path_of(*kind, name);
    }
    const Reply reply = client.call(call);
    std::string made = text_of(find(parse(reply.body, "shoald's answer"), "name"));
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
    const json::value microvm = parse(client.call({"GET", path}).body, "shoald's answer");
    const json::value* code = find(microvm, "status.exit_code");
    if (code == nullptr || !code->is_int64()) {
        throw CliError("microVM " + options.name + " has not ended");
    }
    return static_cast<int>(code->get_int64());
}

int run_verb(const Client& client, const ApplyOptions& options) {
    const json::value document = parse(read_file(options.file), options.file);
    if (options.waits) {
        if (document.is_array() || text_of(find(document, "kind")) != "microvm") {
            throw CliError("--wait is for one microVM");
        }
        return run_verb(client, WaitOptions{apply_one(client, options, document)});
    }
    if (!document.is_array()) {
        apply_one(client, options, document);
        return 0;
    }
    for (const json::value& object : document.get_array()) {
        apply_one(client, options, object);
    }
    return 0;
}

void run_verb(const Client& client, const CallOptions& options) {
    const std::string target = path_of(Kind::microvm, options.name) +
                               "/call?port=" + std::to_string(options.port) +
                               "&timeout_s=" + std::to_string(options.timeout_s);
    print(client.call({"POST", target, read_file("-")}).body);
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
    if (options.kind == Kind::host) {
        throw CliError("a host cannot be deleted");
    }
    const std::string query = options.kind == Kind::microvm
                                  ? "?grace_s=" + std::to_string(options.grace_s)
                                  : std::string{};
    for (const std::string& name : options.names) {
        client.call({"DELETE", path_of(options.kind, name) + query});
        print(name_of(options.kind) + " " + name + " is being deleted\n");
    }
}

void run_verb(const Client& client, const ScaleOptions& options) {
    const std::string path = path_of(Kind::group, options.group);
    json::value group = parse(client.call({"GET", path}).body, "shoald's answer");
    json::object spec = group.at("spec").as_object();
    spec["count"] = options.count;
    client.call({"PUT", path, json::serialize(spec), text_of(find(group, "resource_version"))});
    print("group " + options.group + " scaled to " + std::to_string(options.count) + "\n");
}

void run_verb(const Client& client, const EventsOptions& options) {
    const std::string query = options.since ? "?since=" + std::to_string(*options.since) : "";
    client.stream({"GET", "/v1/events" + query}, [](std::string_view piece) {
        print(piece);
        std::fflush(stdout);
    });
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
