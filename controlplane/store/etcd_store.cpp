// Each request: checked at the door, encoded, sent, decoded.
#include "controlplane/store/etcd_store.h"

#include <array>
#include <cstdint>
#include <utility>

#include "controlplane/store/etcd_answer.h"
#include "controlplane/store/etcd_request.h"
#include "controlplane/store/limits.h"
#include "devices/host/random.h"

namespace shoal::store {

namespace {

using etcd::Effect;

template <typename T, typename Decode>
Handler<EtcdAnswer> decoding(Handler<T> handler, Decode decode) {
    return [handler = std::move(handler), decode](Result<EtcdAnswer> answer) mutable {
        if (!answer) {
            return handler(std::unexpected{std::move(answer.error())});
        }
        handler(decode(answer->body));
    };
}

// 128 random bits: no two stores have the same.
std::string random_name() {
    std::string name;
    for (const std::uint32_t number : host::random_value<std::array<std::uint32_t, 4>>()) {
        name += std::to_string(number) + "-";
    }
    return name;
}

}  // namespace

// A watch that the caller owns; unknown to the store once it is destroyed.
class EtcdStore::Handle final : public Watch {
public:
    Handle(EtcdStore& store, std::string prefix, Revision from, Watcher& watcher)
        : store_{store.self_},
          watch_{std::make_unique<EtcdWatch>(store.client_, std::move(prefix), from, watcher)} {
        store.watches_.insert(watch_.get());
    }
    Handle(const Handle&) = delete;
    Handle& operator=(const Handle&) = delete;
    ~Handle() override {
        if (const auto store = store_.lock()) {
            (*store)->watches_.erase(watch_.get());
        }
    }

private:
    std::weak_ptr<EtcdStore*> store_;
    std::unique_ptr<EtcdWatch> watch_;
};

EtcdStore::EtcdStore(boost::asio::io_context& context, EtcdOptions options)
    : client_{context, std::move(options)}, writer_{random_name()} {
    client_.on_member_left([this] {
        for (EtcdWatch* watch : watches_) {
            watch->reconnect_later();
        }
    });
}

template <typename T>
void EtcdStore::refuse_later(Handler<T> handler, Error error) {
    client_.loop().post([weak = std::weak_ptr{self_}, handler = std::move(handler),
                         error = std::move(error)]() mutable {
        if (!weak.expired()) {
            handler(std::unexpected{std::move(error)});
        }
    });
}

void EtcdStore::get(std::string key, Handler<Lookup> handler) {
    if (auto error = refuse_key(key)) {
        return refuse_later(std::move(handler), std::move(*error));
    }
    const auto decode = [key](std::string_view body) -> Result<Lookup> {
        auto page = etcd::decode_range(body);
        if (!page) {
            return std::unexpected{std::move(page.error())};
        }
        Lookup lookup{{}, page->revision};
        if (!page->entries.empty() && page->entries.front().key == key) {
            lookup.entry = std::move(page->entries.front());
        }
        return lookup;
    };
    client_.call("/v3/kv/range", etcd::get_request(key), Effect::reads,
                 decoding(std::move(handler), decode));
}

void EtcdStore::list(ListRequest request, Handler<Page> handler) {
    if (auto error = refuse(request)) {
        return refuse_later(std::move(handler), std::move(*error));
    }
    const std::size_t limit = page_keys(request);
    list_some(std::move(request), limit, std::move(handler));
}

void EtcdStore::list_some(ListRequest request, std::size_t limit, Handler<Page> handler) {
    std::string body = etcd::list_request(request, limit);
    // etcd counts keys, not bytes: ask for fewer until they fit into an answer.
    auto on_answer = [this, request = std::move(request), limit,
                      handler = std::move(handler)](Result<EtcdAnswer> answer) mutable {
        if (!answer && answer.error().failure == Failure::too_large && limit > 1) {
            return list_some(std::move(request), limit / 2, std::move(handler));
        }
        if (!answer) {
            return handler(std::unexpected{std::move(answer.error())});
        }
        auto page = etcd::decode_range(answer->body);
        if (page && request.revision != 0) {
            page->revision = request.revision;
        }
        handler(std::move(page));
    };
    client_.call("/v3/kv/range", std::move(body), Effect::reads, std::move(on_answer));
}

void EtcdStore::commit(Transaction transaction, Handler<Revision> handler) {
    if (auto error = refuse(transaction)) {
        return refuse_later(std::move(handler), std::move(*error));
    }
    const bool is_signed = etcd::happens_once(transaction);
    std::string signature =
        is_signed ? writer_ + std::to_string(++signature_count_) : std::string{};
    std::string body = etcd::commit_request(transaction, signature);
    auto on_answer = [this, signature = std::move(signature),
                      handler = std::move(handler)](Result<EtcdAnswer> answer) mutable {
        if (!answer) {
            return handler(std::unexpected{std::move(answer.error())});
        }
        const auto outcome = etcd::decode_commit(answer->body);
        if (!outcome) {
            handler(std::unexpected{outcome.error()});
        } else if (outcome->is_done) {
            handler(outcome->revision);
        } else if (answer->is_repeated) {
            find_out(signature, outcome->oldest_change, std::move(handler));
        } else {
            handler(
                std::unexpected{Error{Failure::conflict, "a key of the transaction has changed"}});
        }
    };
    client_.call("/v3/kv/txn", std::move(body), is_signed ? Effect::writes_once : Effect::writes,
                 std::move(on_answer));
}

// A transaction was sent again, and its conditions do not hold: by its own doing or by another's.
// `changed`: the oldest change of what it puts, so its own while anything of it is left; 0: nothing
// is there, and only the newest signature is looked at.
void EtcdStore::find_out(const std::string& signature, Revision changed,
                         Handler<Revision> handler) {
    auto on_answer = [signature,
                      handler = std::move(handler)](const Result<EtcdAnswer>& answer) mutable {
        const auto page = answer ? etcd::decode_range(answer->body) : Result<Page>{};
        if (page && !page->entries.empty() && page->entries.front().value == signature) {
            return handler(page->entries.front().mod_revision);
        }
        handler(std::unexpected{Error{Failure::uncertain,
                                      "the connection was lost before etcd answered, and what was "
                                      "to be written has changed since"}});
    };
    client_.call("/v3/kv/range", etcd::signature_request(changed), Effect::reads,
                 std::move(on_answer));
}

Result<std::unique_ptr<Watch>> EtcdStore::watch(std::string prefix, Revision from,
                                                Watcher& watcher) {
    if (auto error = refuse_watch(prefix, from, watches_.size())) {
        return std::unexpected{std::move(*error)};
    }
    if (!std::exchange(is_probing_, true)) {
        probe_later();
    }
    return std::make_unique<Handle>(*this, std::move(prefix), from, watcher);
}

void EtcdStore::grant(std::chrono::seconds ttl, Handler<LeaseId> handler) {
    if (auto error = refuse_lease(ttl)) {
        return refuse_later(std::move(handler), std::move(*error));
    }
    // Repeated like what only reads: a lease too many ends by itself.
    client_.call("/v3/lease/grant", etcd::grant_request(ttl), Effect::reads,
                 decoding(std::move(handler), etcd::decode_grant));
}

void EtcdStore::keep_alive(LeaseId lease, Handler<LeaseId> handler) {
    client_.call("/v3/lease/keepalive", etcd::lease_request(lease), Effect::reads,
                 decoding(std::move(handler), etcd::decode_keep_alive));
}

void EtcdStore::revoke(LeaseId lease, Handler<LeaseId> handler) {
    const auto decode = [lease](std::string_view body) -> Result<LeaseId> {
        auto revision = etcd::decode_revision(body);
        return revision ? Result<LeaseId>{lease} : std::unexpected{std::move(revision.error())};
    };
    client_.call("/v3/lease/revoke", etcd::lease_request(lease), Effect::writes,
                 decoding(std::move(handler), decode));
}

void EtcdStore::compact(Revision revision, Handler<Revision> handler) {
    const auto decode = [revision](std::string_view body) -> Result<Revision> {
        auto newest = etcd::decode_revision(body);
        return newest ? Result<Revision>{revision} : std::unexpected{std::move(newest.error())};
    };
    client_.call("/v3/kv/compaction", etcd::compact_request(revision), Effect::writes,
                 decoding(std::move(handler), decode));
}

// A member that is paused or cut off keeps its streams open and says nothing. A read that needs
// its leader tells; when it fails the client leaves the member, and the watches follow.
void EtcdStore::probe_later() {
    client_.loop().call_after(client_.options().probe_interval, [weak = std::weak_ptr{self_}] {
        if (weak.expired()) {
            return;
        }
        EtcdStore& store = **weak.lock();
        store.is_probing_ = !store.watches_.empty();
        if (store.is_probing_) {
            store.get("/probe", [&store](const Result<Lookup>&) { store.probe_later(); });
        }
    });
}

}  // namespace shoal::store
