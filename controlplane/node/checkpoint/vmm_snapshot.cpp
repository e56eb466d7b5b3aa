// The VMM is asked how far it is, since it calls nobody.
#include "controlplane/node/checkpoint/vmm_snapshot.h"

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <utility>

#include "controlplane/node/clone_request.h"

namespace shoal::node {
namespace {

namespace json = boost::json;

constexpr const char* target = "/snapshot/create";
constexpr std::chrono::milliseconds look_period{10};
// Of a VMM that says that it writes.
constexpr std::chrono::minutes longest_write{10};

std::string body_of(const SnapshotOrder& order) {
    json::array drives;
    for (const std::string& path : order.drives) {
        drives.push_back({{"drive_id", drive_of_volume(drives.size())}, {"path", path}});
    }
    return json::serialize(
        json::object{{"snapshot_path", order.state},
                     {"mem_file_path", order.memory},
                     {"snapshot_type", order.kind == SnapshotKind::whole ? "Full" : "Diff"},
                     {"resume_vm", true},
                     {"drives", std::move(drives)}});
}

std::string refusal_in(const std::optional<VmmAnswer>& answer) {
    const auto object = object_in(answer);
    if (!object) {
        return "its VMM does not answer";
    }
    const std::string reason = text_in(*object, "fault_message");
    return reason.empty() ? "its VMM has made none, and does not say why" : reason;
}

// Keeps itself alive.
class Taking : public std::enable_shared_from_this<Taking> {
public:
    Taking(store::EventLoop& loop, VmmClient& client, SnapshotOrder order,
           std::weak_ptr<void> asker, OnSnapshot done)
        : loop_{loop},
          client_{client},
          order_{std::move(order)},
          asker_{std::move(asker)},
          done_{std::move(done)},
          began_{loop.now()} {}

    void start() {
        client_.call(order_.socket, {"PUT", target, body_of(order_)},
                     [self = shared_from_this()](const std::optional<VmmAnswer>& answer) {
                         if (!answer || answer->status >= 300) {
                             return self->done_({refusal_in(answer)});
                         }
                         self->ask_later();
                     });
    }

private:
    void ask_later() {
        loop_.call_after(look_period, [self = shared_from_this()] {
            if (!self->asker_.expired()) {
                self->ask();
            }
        });
    }
    void ask() {
        client_.call(order_.socket, {"GET", target},
                     [self = shared_from_this()](const std::optional<VmmAnswer>& answer) {
                         self->on_progress(answer);
                     });
    }
    void on_progress(const std::optional<VmmAnswer>& answer) {
        const auto progress = object_in(answer);
        const std::string state = progress ? text_in(*progress, "state") : "";
        if (state == "Writing" && loop_.now() - began_ < longest_write) {
            return ask_later();
        }
        if (state != "Done") {
            return done_({state == "Writing" ? "its VMM writes for too long" : refusal_in(answer)});
        }
        const json::value* pause = progress->if_contains("pause_us");
        const bool is_told = pause != nullptr && pause->is_int64();
        done_({{}, is_told ? static_cast<std::uint64_t>(pause->get_int64()) : 0});
    }

    store::EventLoop& loop_;
    VmmClient& client_;
    SnapshotOrder order_;
    std::weak_ptr<void> asker_;
    OnSnapshot done_;
    store::EventLoop::Duration began_;
};

}  // namespace

void take_snapshot(store::EventLoop& loop, VmmClient& client, SnapshotOrder order,
                   std::weak_ptr<void> asker, OnSnapshot done) {
    std::make_shared<Taking>(loop, client, std::move(order), std::move(asker), std::move(done))
        ->start();
}

}  // namespace shoal::node
