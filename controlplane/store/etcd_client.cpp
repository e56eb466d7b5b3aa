// Retries what is safe to repeat, bounded by a deadline, and says so when it is not.
#include "controlplane/store/etcd_client.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "controlplane/store/limits.h"

namespace shoal::store {

namespace {

namespace ssl = boost::asio::ssl;

constexpr std::size_t max_connections = 16;
constexpr std::size_t max_endpoints = 16;

HttpConnection::Tls make_tls(const TlsFiles& files) {
    auto tls = std::make_shared<ssl::context>(ssl::context::tls_client);
    tls->set_options(ssl::context::default_workarounds | ssl::context::no_tlsv1 |
                     ssl::context::no_tlsv1_1);
    tls->set_verify_mode(ssl::verify_peer);
    use_files(*tls, files, "with etcd");
    return tls;
}

Error unreachable(std::string_view why) {
    return {Failure::unavailable, "no member of etcd answers: " + std::string{why}};
}

// What an attempt that brought no answer with status 200 means.
Error error_of(const HttpOutcome& outcome, etcd::Effect effect) {
    const bool writes = effect != etcd::Effect::reads;
    if (const auto* answer = std::get_if<HttpAnswer>(&outcome)) {
        return etcd::decode_error(answer->body, effect);
    }
    switch (std::get<HttpFault>(outcome)) {
        case HttpFault::too_large:
            return {writes ? Failure::uncertain : Failure::too_large,
                    "etcd's answer is larger than " + std::to_string(etcd::max_answer_bytes) +
                        " bytes"};
        case HttpFault::lost:
            if (writes) {
                return {Failure::uncertain, "the connection was lost before etcd answered"};
            }
            break;
        case HttpFault::not_sent:
            break;
    }
    return unreachable("the connection failed or timed out");
}

}  // namespace

struct EtcdClient::Call {
    std::string path;
    std::string body;
    etcd::Effect effect = etcd::Effect::reads;
    Handler<EtcdAnswer> handler;
    EventLoop::Duration deadline{};
    unsigned failures = 0;
    std::uint64_t generation = 0;
    bool is_in_doubt = false;  // an attempt may have been done
};

EtcdClient::EtcdClient(boost::asio::io_context& context, EtcdOptions options)
    : context_{context},
      loop_{context},
      options_{std::move(options)},
      tls_{options_.tls ? make_tls(*options_.tls) : nullptr},
      random_{options_.seed} {
    if (options_.endpoints.empty() || options_.endpoints.size() > max_endpoints) {
        throw std::runtime_error{"etcd has from 1 to " + std::to_string(max_endpoints) +
                                 " endpoints"};
    }
}

EtcdClient::~EtcdClient() {
    for (const auto& connection : busy_) {
        connection->close();
    }
}

void EtcdClient::call(std::string path, std::string body, etcd::Effect effect,
                      Handler<EtcdAnswer> handler) {
    const auto call = std::make_shared<Call>();
    call->path = std::move(path);
    call->body = std::move(body);
    call->effect = effect;
    call->handler = std::move(handler);
    call->deadline = loop_.now() + options_.request_timeout;
    ++pending_count_;
    waiting_.push_back(call);
    loop_.post([weak = std::weak_ptr{self_}] {
        if (!weak.expired()) {
            auto& self = **weak.lock();  // not held meanwhile
            self.start_waiting();
        }
    });
}

void EtcdClient::start_waiting() {
    const std::weak_ptr alive{self_};
    while (!alive.expired() && !waiting_.empty() && busy_.size() < max_connections) {
        const auto call = std::move(waiting_.front());
        waiting_.pop_front();
        if (pending_count_ > max_pending_requests) {
            fail(call, {Failure::unavailable,
                        std::to_string(max_pending_requests) + " requests wait for etcd already"});
        } else if (loop_.now() >= call->deadline) {
            fail(call, unreachable("too many requests wait"));
        } else {
            attempt(call);
        }
    }
}

std::shared_ptr<HttpConnection> EtcdClient::make_connection() {
    return std::make_shared<HttpConnection>(context_, options_.endpoints[member_], tls_);
}

std::shared_ptr<HttpConnection> EtcdClient::take_connection() {
    while (!idle_.empty()) {
        auto connection = std::move(idle_.back());
        idle_.pop_back();
        if (connection->is_reusable()) {
            return connection;
        }
    }
    return make_connection();
}

void EtcdClient::attempt(const std::shared_ptr<Call>& call) {
    const auto connection = take_connection();
    busy_.insert(connection);
    call->generation = generation_;
    // Who hangs is left soon, but another one that is only slow may take longer.
    const auto left = std::min<EventLoop::Duration>(
        options_.attempt_timeout * (call->is_in_doubt ? 2 : 1), call->deadline - loop_.now());
    connection->call(call->path, call->body, left,
                     [weak = std::weak_ptr{self_}, call, connection](HttpOutcome outcome) {
                         if (!weak.expired()) {
                             auto& self = **weak.lock();  // not held meanwhile
                             self.finish(call, connection, std::move(outcome));
                         }
                     });
}

void EtcdClient::finish(const std::shared_ptr<Call>& call,
                        const std::shared_ptr<HttpConnection>& used, HttpOutcome outcome) {
    auto* answer = std::get_if<HttpAnswer>(&outcome);
    busy_.erase(used);
    if (call->generation == generation_ && answer != nullptr && used->is_reusable()) {
        idle_.push_back(used);
    }
    loop_.post([weak = std::weak_ptr{self_}] {
        if (!weak.expired()) {
            auto& self = **weak.lock();  // not held meanwhile
            self.start_waiting();
        }
    });
    if (answer != nullptr && answer->status == 200) {
        --pending_count_;
        return call->handler(EtcdAnswer{std::move(answer->body), call->is_in_doubt});
    }
    Error error = error_of(outcome, call->effect);
    const bool is_uncertain = error.failure == Failure::uncertain;
    if (error.failure == Failure::unavailable ||
        (is_uncertain && call->effect == etcd::Effect::writes_once)) {
        call->is_in_doubt |= is_uncertain;
        return retry(call, std::move(error));
    }
    if (is_uncertain) {
        leave_member(call->generation);
    }
    fail(call, std::move(error));
}

void EtcdClient::fail(const std::shared_ptr<Call>& call, Error error) {
    --pending_count_;
    if (call->is_in_doubt) {
        error.failure = Failure::uncertain;
    }
    call->handler(std::unexpected{std::move(error)});
}

void EtcdClient::retry(const std::shared_ptr<Call>& call, Error error) {
    leave_member(call->generation);
    const auto delay = backoff(call->failures++);
    if (loop_.now() + delay >= call->deadline) {
        return fail(call, std::move(error));
    }
    loop_.call_after(delay, [weak = std::weak_ptr{self_}, call] {
        if (!weak.expired()) {
            EtcdClient& client = **weak.lock();
            client.waiting_.push_front(call);
            client.start_waiting();
        }
    });
}

void EtcdClient::leave_member(std::uint64_t generation) {
    // Many requests fail with one member; the first of them leaves it.
    if (generation != generation_) {
        return;
    }
    ++generation_;
    member_ = (member_ + 1) % options_.endpoints.size();
    idle_.clear();
    if (on_member_left_) {
        on_member_left_();
    }
}

std::chrono::milliseconds EtcdClient::backoff(unsigned failures) {
    const auto members = static_cast<unsigned>(options_.endpoints.size());
    if (failures + 1 < members) {
        return std::chrono::milliseconds{0};
    }
    const unsigned doublings = std::min(failures + 1 - members, 10U);
    const auto longest = std::min(options_.first_backoff * (1 << doublings), options_.last_backoff);
    std::uniform_int_distribution<std::int64_t> jitter{longest.count() / 2, longest.count()};
    return std::chrono::milliseconds{jitter(random_)};
}

}  // namespace shoal::store
