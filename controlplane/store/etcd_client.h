// EtcdClient: requests to an etcd cluster. Finds the member that serves, and another when it stops.
//
// What may be repeated is asked of the next member too when one takes long, and the first answer
// counts. So once etcd serves after an election each request is heard within two patiences, also
// where one of three members hangs: hosts' deadlines (failover/host_silence.h) build on it.
#pragma once

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "controlplane/store/asio_loop.h"
#include "controlplane/store/etcd_answer.h"
#include "controlplane/store/http_connection.h"
#include "controlplane/store/tls_files.h"
#include "controlplane/store/types.h"

namespace shoal::store {

struct EtcdOptions {
    std::vector<Endpoint> endpoints;  // of all members; at most 16
    std::optional<TlsFiles> tls{};    // none: plain TCP
    // How long one member may take, and how long a request may take with all its attempts.
    std::chrono::milliseconds attempt_timeout{1000};
    std::chrono::milliseconds request_timeout{4000};
    // After it another member is asked as well. Many times what one takes that is well; a fourth of
    // the attempt's time, so that a slow etcd has at most four times the work.
    std::chrono::milliseconds patience{250};
    // Between attempts once all members have failed; doubled each time, and with jitter.
    std::chrono::milliseconds first_backoff{50};
    std::chrono::milliseconds last_backoff{250};
    // How often the member that streams watches is asked whether it still serves.
    std::chrono::milliseconds probe_interval{2000};
    std::uint32_t seed = 1;  // of the jitter
};

struct EtcdAnswer {
    std::string body;
    // Of Effect::writes_once: another attempt than this answer's may have been done.
    bool is_repeated = false;
};

// The loop's thread only.
class EtcdClient {
public:
    // Throws std::runtime_error with one sentence for a certificate that cannot be read.
    EtcdClient(boost::asio::io_context& context, EtcdOptions options);
    EtcdClient(const EtcdClient&) = delete;
    EtcdClient& operator=(const EtcdClient&) = delete;
    // What is pending is dropped.
    ~EtcdClient();

    // POSTs `body`; the answer with status 200, or an error: Failure::uncertain when any attempt
    // of what does not only read may have been done.
    void call(std::string path, std::string body, etcd::Effect effect, Handler<EtcdAnswer> handler);

    // A connection to the member that serves now.
    [[nodiscard]] std::shared_ptr<HttpConnection> make_connection();
    // The member that was in use when `generation` was current no longer serves.
    void leave_member(std::uint64_t generation);
    [[nodiscard]] std::uint64_t generation() const noexcept { return generation_; }
    // Called whenever the generation changes.
    void on_member_left(std::function<void()> handler) { on_member_left_ = std::move(handler); }

    // Before the attempt after `failures` failures in a row.
    [[nodiscard]] std::chrono::milliseconds backoff(unsigned failures);
    [[nodiscard]] const EtcdOptions& options() const noexcept { return options_; }
    [[nodiscard]] EventLoop& loop() noexcept { return loop_; }

private:
    struct Call;
    struct Attempt;

    void start_waiting();
    void attempt(const std::shared_ptr<Call>& call);
    void attempt_after(const std::shared_ptr<Call>& call, std::chrono::milliseconds delay);
    [[nodiscard]] std::shared_ptr<HttpConnection> take_connection(std::size_t member);
    void finish(const std::shared_ptr<Call>& call, const std::shared_ptr<Attempt>& attempt,
                HttpOutcome outcome);
    void follow(const Call& call, const Attempt& attempt);
    void end(const std::shared_ptr<Call>& call);
    void fail(const std::shared_ptr<Call>& call, Error error);
    void retry(const std::shared_ptr<Call>& call, Error error);
    void go_to(std::size_t member);

    boost::asio::io_context& context_;
    AsioLoop loop_;
    EtcdOptions options_;
    HttpConnection::Tls tls_;
    std::minstd_rand random_;
    std::size_t member_ = 0;
    std::uint64_t generation_ = 0;
    EventLoop::Duration answered_{};  // when the member did last
    std::function<void()> on_member_left_;
    std::vector<std::shared_ptr<HttpConnection>> idle_;  // to this member
    std::set<std::shared_ptr<Call>> active_;             // with attempts
    std::deque<std::shared_ptr<Call>> waiting_;
    std::size_t pending_count_ = 0;
    // What waits in the loop finds the client gone.
    std::shared_ptr<EtcdClient*> self_ = std::make_shared<EtcdClient*>(this);
};

}  // namespace shoal::store
