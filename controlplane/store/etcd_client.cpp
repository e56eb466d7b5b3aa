// Retries what is safe to repeat, bounded by a deadline, and says so when it is not.
#include "controlplane/store/etcd_client.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "controlplane/store/limits.h"

namespace shoal::store {

namespace {

namespace ssl = boost::asio::ssl;

constexpr std::size_t max_active_calls = 16;  // each of which has up to four connections
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

struct EtcdClient::Attempt {
    std::shared_ptr<HttpConnection> connection;
    std::size_t member = 0;
    std::uint64_t generation = 0;  // when it began
};

struct EtcdClient::Call {
    std::string path;
    std::string body;
    etcd::Effect effect = etcd::Effect::reads;
    Handler<EtcdAnswer> handler;
    EventLoop::Duration deadline{};
    std::vector<std::shared_ptr<Attempt>> attempts;  // under way
    EventLoop::Duration begin{};                     // of the oldest of them
    std::size_t last_member = 0;                     // asked
    std::uint64_t turn = 0;                          // the last one's that was arranged
    unsigned failures = 0;
    bool is_in_doubt = false;  // an attempt that has ended may have been done
    bool is_done = false;
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
    for (const auto& call : active_) {
        for (const auto& attempt : call->attempts) {
            attempt->connection->close();
        }
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
    while (!alive.expired() && !waiting_.empty() && active_.size() < max_active_calls) {
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

std::shared_ptr<HttpConnection> EtcdClient::take_connection(std::size_t member) {
    while (member == member_ && !idle_.empty()) {
        auto connection = std::move(idle_.back());
        idle_.pop_back();
        if (connection->is_reusable()) {
            return connection;
        }
    }
    return std::make_shared<HttpConnection>(context_, options_.endpoints[member], tls_);
}

// The member in use; while an attempt is under way, the one after the last that was asked.
void EtcdClient::attempt(const std::shared_ptr<Call>& call) {
    const std::size_t members = options_.endpoints.size();
    if (call->attempts.empty()) {
        call->begin = loop_.now();
        call->last_member = member_;
    } else {
        call->last_member = (call->last_member + 1) % members;
    }
    const auto attempt = std::make_shared<Attempt>(
        Attempt{take_connection(call->last_member), call->last_member, generation_});
    call->attempts.push_back(attempt);
    active_.insert(call);
    // Who is alone may be no more than slow, and nobody else is asked meanwhile.
    const bool is_alone_and_slow = members == 1 && call->is_in_doubt;
    const auto left = std::min<EventLoop::Duration>(
        options_.attempt_timeout * (is_alone_and_slow ? 2 : 1), call->deadline - loop_.now());
    attempt->connection->call(call->path, call->body, left,
                              [weak = std::weak_ptr{self_}, call, attempt](HttpOutcome outcome) {
                                  if (!weak.expired()) {
                                      auto& self = **weak.lock();  // not held meanwhile
                                      self.finish(call, attempt, std::move(outcome));
                                  }
                              });
    if (members > 1 && call->effect != etcd::Effect::writes) {
        attempt_after(call, options_.patience);
    }
}

// Instead of the attempt that was arranged before.
void EtcdClient::attempt_after(const std::shared_ptr<Call>& call, std::chrono::milliseconds delay) {
    loop_.call_after(delay, [weak = std::weak_ptr{self_}, call, turn = ++call->turn] {
        if (weak.expired() || call->is_done || call->turn != turn) {
            return;
        }
        EtcdClient& client = **weak.lock();
        if (call->attempts.empty()) {
            client.waiting_.push_front(call);
            client.start_waiting();
        } else if (client.loop_.now() < call->deadline) {
            client.attempt(call);
        }
    });
}

void EtcdClient::finish(const std::shared_ptr<Call>& call, const std::shared_ptr<Attempt>& attempt,
                        HttpOutcome outcome) {
    auto* answer = std::get_if<HttpAnswer>(&outcome);
    std::erase(call->attempts, attempt);
    if (call->attempts.empty()) {
        active_.erase(call);
    }
    loop_.post([weak = std::weak_ptr{self_}] {
        if (!weak.expired()) {
            auto& self = **weak.lock();  // not held meanwhile
            self.start_waiting();
        }
    });
    if (answer != nullptr && attempt->member == member_) {
        answered_ = loop_.now();
        if (attempt->connection->is_reusable()) {
            idle_.push_back(attempt->connection);
        }
    }
    if (answer != nullptr && answer->status == 200) {
        follow(*call, *attempt);
        const bool is_repeated = call->is_in_doubt || !call->attempts.empty();
        end(call);
        return call->handler(EtcdAnswer{std::move(answer->body), is_repeated});
    }
    Error error = error_of(outcome, call->effect);
    const bool is_uncertain = error.failure == Failure::uncertain;
    const bool is_to_repeat = error.failure == Failure::unavailable ||
                              (is_uncertain && call->effect == etcd::Effect::writes_once);
    if ((is_to_repeat || is_uncertain) && attempt->member == member_) {
        leave_member(attempt->generation);
    }
    if (!is_to_repeat) {
        return fail(call, std::move(error));
    }
    call->is_in_doubt |= is_uncertain;
    retry(call, std::move(error));
}

// A member that has answered nothing since it was asked first is left for one that has.
void EtcdClient::follow(const Call& call, const Attempt& attempt) {
    if (attempt.member != member_ && attempt.generation == generation_ && answered_ < call.begin) {
        go_to(attempt.member);
    }
}

// Attempts that are slower than another one are of no more use.
void EtcdClient::end(const std::shared_ptr<Call>& call) {
    call->is_done = true;
    for (const auto& attempt : std::exchange(call->attempts, {})) {
        attempt->connection->close();
    }
    active_.erase(call);
    --pending_count_;
}

void EtcdClient::fail(const std::shared_ptr<Call>& call, Error error) {
    const bool writes = call->effect != etcd::Effect::reads;
    if (call->is_in_doubt || (writes && !call->attempts.empty())) {
        error.failure = Failure::uncertain;
    }
    end(call);
    call->handler(std::unexpected{std::move(error)});
}

void EtcdClient::retry(const std::shared_ptr<Call>& call, Error error) {
    const auto delay = backoff(call->failures++);
    if (loop_.now() + delay < call->deadline) {
        attempt_after(call, delay);
    } else if (call->attempts.empty()) {
        fail(call, std::move(error));
    }
}

void EtcdClient::leave_member(std::uint64_t generation) {
    // Many requests fail with one member; the first of them leaves it.
    if (generation == generation_) {
        go_to((member_ + 1) % options_.endpoints.size());
    }
}

void EtcdClient::go_to(std::size_t member) {
    ++generation_;
    member_ = member;
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
