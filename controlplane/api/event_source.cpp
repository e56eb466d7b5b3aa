// A watch of the store, whose revisions are where a client goes on.
#include "controlplane/api/event_source.h"

#include <utility>

#include "controlplane/http/problem.h"

namespace shoal::rest {

std::string to_line(const store::Event& event) {
    const std::string_view key = event.entry.key;
    const std::size_t end = key.find('/', 1);
    const bool is_put = event.kind == store::Event::Kind::put;
    return std::string{R"({"type":)"} + (is_put ? R"("put")" : R"("deleted")") + R"(,"kind":)" +
           quote(std::string{key.substr(1, end == key.npos ? end : end - 1)}) + R"(,"name":)" +
           quote(std::string{key.substr(key.rfind('/') + 1)}) + R"(,"resource_version":)" +
           std::to_string(event.entry.mod_revision) + R"(,"object":)" +
           (is_put ? event.entry.value : "null") + "}\n";
}

EventSource::EventSource(store::EventLoop& loop, store::Store& store, const std::string& prefix,
                         store::Revision since)
    : loop_{loop} {
    auto watch = store.watch(prefix, since + 1, *this);
    if (!watch) {
        throw Problem{503, watch.error().reason};
    }
    watch_ = std::move(*watch);
}

void EventSource::next(Handler handler) {
    handler_ = std::move(handler);
    deliver_later();
}

void EventSource::on_changes(std::span<const store::Event> events) {
    for (const store::Event& event : events) {
        lines_ += to_line(event);
    }
    if (lines_.size() > max_event_backlog_bytes) {
        lines_.clear();
        end(R"({"type":"overflow","detail":"more than )" + std::to_string(max_event_backlog_bytes) +
            " bytes wait to be read: resume after the last resource_version\"}\n");
    }
    deliver_later();
}

void EventSource::on_compacted(store::Revision compacted) {
    end(R"({"type":"compacted","resource_version":)" + std::to_string(compacted) +
        R"(,"detail":"older changes are forgotten: list again"})" + "\n");
    deliver_later();
}

void EventSource::end(const std::string& line) {
    lines_ += line;
    has_ended_ = true;
    watch_.reset();
}

void EventSource::deliver_later() {
    loop_.post([weak = std::weak_ptr{self_}] {
        if (const auto self = weak.lock()) {
            (*self)->deliver();
        }
    });
}

void EventSource::deliver() {
    if (!handler_) {
        return;
    }
    if (!lines_.empty()) {
        std::exchange(handler_, {})(std::exchange(lines_, {}));
    } else if (has_ended_) {
        std::exchange(handler_, {})(std::nullopt);
    }
}

}  // namespace shoal::rest
