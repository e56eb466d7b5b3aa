// EventSource: the store's changes as lines of JSON, for one client.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "controlplane/http/exchange.h"
#include "controlplane/store/event_loop.h"
#include "controlplane/store/store.h"

namespace shoal::rest {

// What may wait for a client that does not read. It is told, and can resume.
inline constexpr std::size_t max_event_backlog_bytes = std::size_t{8} << 20;

// A change as a line:
// {"type":"put","kind":"microvms","name":"a","resource_version":7,"object":{...}} `kind` is the
// first segment of the store's key; a deleted object is null.
[[nodiscard]] std::string to_line(const store::Event& event);

class EventSource final : public Source, private store::Watcher {
public:
    // Changes after revision `since` of keys that begin with `prefix`. Borrows both. Throws
    // Problem.
    EventSource(store::EventLoop& loop, store::Store& store, const std::string& prefix,
                store::Revision since);
    EventSource(const EventSource&) = delete;
    EventSource& operator=(const EventSource&) = delete;
    ~EventSource() override = default;

    void next(Handler handler) override;

private:
    void on_changes(std::span<const store::Event> events) override;
    void on_compacted(store::Revision compacted) override;
    void end(const std::string& line);
    void deliver_later();
    void deliver();

    store::EventLoop& loop_;
    std::string lines_;  // not yet taken
    bool has_ended_ = false;
    Handler handler_;
    std::shared_ptr<EventSource*> self_ = std::make_shared<EventSource*>(this);
    std::unique_ptr<store::Watch> watch_;  // last: nothing is told after the rest has gone
};

}  // namespace shoal::rest
