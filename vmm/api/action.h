// What a request comes to. Parsing makes an Action of it without touching the microVM; whether the
// microVM is in a state for it is checked in between; then the action is taken.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "vmm/api/decode.h"
#include "vmm/api/drive_saving.h"
#include "vmm/api/encode.h"
#include "vmm/api/fault.h"
#include "vmm/api/http.h"
#include "vmm/api/metrics_file.h"
#include "vmm/machine/microvm.h"
#include "vmm/state/drive_copy.h"
#include "vmm/state/memory_mark.h"
#include "vmm/state/snapshot_chain.h"
#include "vmm/state/snapshot_writer.h"

namespace shoal::migration {
class Migration;
}

namespace shoal::api {

// Of a load that is to record its working set.
struct WorkingSetRecord {
    std::string path;
    state::SnapshotId snapshot{};
};

// What actions work on. One per process; borrowed parts outlive it.
struct Context {
    vmm::Microvm& microvm;
    MetricsFile& metrics;
    migration::Migration& migration;
    std::string instance_id = "anonymous-instance";
    // What the API has been told so far; after the start also what it has changed since.
    vmm::MicrovmConfig config{};
    // Whether somebody said what machine it is to be, if only the default one.
    bool is_machine_configured = false;
    state::SnapshotChain snapshots{};
    // The last snapshot that was written behind the running guest, and how long the guest stood.
    std::optional<state::SnapshotWriter> snapshot_writer{};
    std::uint64_t snapshot_pause_us = 0;
    // Its drives, by id, which the next one may have the difference to; while they are copied it is
    // not begun.
    std::map<std::string, std::shared_ptr<state::LoggedDrive>> logged_drives{};
    std::optional<DriveSaving> drive_saving{};
    // Until it is recorded.
    std::optional<WorkingSetRecord> working_set{};
};

using Action = std::function<Response(Context&)>;

struct ParsedRequest {
    Action action;
    Deprecation deprecation = Deprecation::none;
};

// A request on its way into an endpoint's parse function.
struct Call {
    // Of the path, behind the ones that chose the endpoint: an id, or what nobody asked for.
    std::vector<std::string_view> path_rest;
    std::string_view body;  // empty when there is none
};

inline Response no_content() {
    return {};
}

template <typename Body>
Response ok(const Body& body) {
    return {Status::ok, to_json(body)};
}

// The body of a call. Throws Fault.
template <typename Body>
[[nodiscard]] Body parse_body(const Call& call) {
    try {
        return decode<Body>(call.body);
    } catch (const JsonError& error) {
        throw Fault{"An error occurred when deserializing the json body of a request: " +
                    std::string{error.what()} + "."};
    }
}

// The id in the path, which must be the first of the rest. Throws Fault.
[[nodiscard]] std::string_view parse_id(const Call& call);

}  // namespace shoal::api
