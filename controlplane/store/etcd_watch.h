// EtcdWatch: one watch, one stream. Resumes from its revision whenever the stream ends.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "controlplane/store/etcd_client.h"
#include "controlplane/store/line_splitter.h"
#include "controlplane/store/store.h"

namespace shoal::store {

class EtcdWatch final {
public:
    // Borrows the client and the watcher.
    EtcdWatch(EtcdClient& client, std::string prefix, Revision from, Watcher& watcher);
    EtcdWatch(const EtcdWatch&) = delete;
    EtcdWatch& operator=(const EtcdWatch&) = delete;
    ~EtcdWatch();

    // Leaves the stream for one to the member that serves now.
    void reconnect_later();

private:
    void connect();
    void on_bytes(std::string_view bytes);
    bool on_message(std::string_view line);
    void take(etcd::WatchMessage message);
    void deliver(std::size_t count);
    void end(Revision compacted);

    EtcdClient& client_;
    std::string prefix_;
    Revision next_;
    Watcher& watcher_;
    std::shared_ptr<HttpConnection> connection_;
    std::uint64_t generation_ = 0;
    LineSplitter lines_{etcd::max_answer_bytes};
    std::vector<Event> events_;  // of a revision that is not complete yet
    unsigned failures_ = 0;
    bool was_connected_ = false;
    bool will_connect_ = false;
    bool is_over_ = false;
    // What waits in the loop finds the watch gone.
    std::shared_ptr<EtcdWatch*> self_ = std::make_shared<EtcdWatch*>(this);
};

}  // namespace shoal::store
