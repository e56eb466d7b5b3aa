// File by file into a folder of its own, which gets its name once its digest is what was asked for.
#include "controlplane/peer/bundle_fetcher.h"

#include <boost/asio/post.hpp>
#include <exception>
#include <utility>

#include "controlplane/content/save.h"
#include "controlplane/http/problem.h"
#include "devices/host/durable.h"

namespace shoal::peer {

// Of one bundle; keeps itself alive.
class BundleFetcher::Fetch : public std::enable_shared_from_this<Fetch> {
public:
    // The failure, in a sentence; empty: it is there.
    using Done = std::move_only_function<void(const std::string&)>;

    Fetch(BundleFetcher& owner, std::string digest, std::vector<Peer> hosts, Done done)
        : context_{owner.context_},
          workers_{owner.workers_},
          folder_{owner.folder_},
          client_{owner.client_},
          digest_{std::move(digest)},
          hosts_{std::move(hosts)},
          done_{std::move(done)} {}

    void start() {
        try {
            partial_ = folder_.make_partial();
            fetch_file();
        } catch (const std::exception& error) {
            done_(error.what());
        }
    }
    [[nodiscard]] const std::string& host() const { return hosts_[host_].host; }

private:
    [[nodiscard]] const char* file_name() const { return folder_.kind().files[files_.size()]; }
    void fetch_file() {
        rest::Request request;
        request.method = "GET";
        request.path = {"v1", std::string{folder_.kind().name} + "s", digest_, file_name()};
        client_.send(hosts_[host_], request, {},
                     [self = shared_from_this()](rest::Response response) {
                         self->on_answer(std::move(response));
                     });
    }
    void on_answer(rest::Response response) {
        if (response.status != 200 || !response.source) {
            return try_next(rest::detail_of(response));
        }
        content::save(
            context_, workers_, std::move(response.source), partial_ + "/" + file_name(),
            [self = shared_from_this()](const content::Saved& saved) { self->on_saved(saved); });
    }
    void on_saved(const content::Saved& saved) {
        if (saved.problem) {
            return try_next(saved.problem->what());
        }
        files_.push_back({saved.size_bytes, saved.sha256});
        if (files_.size() < folder_.kind().files.size()) {
            return fetch_file();
        }
        if (const std::string found = digest_of(folder_.kind(), files_); found != digest_) {
            return try_next("the files' SHA-256 is " + found + ", not " + digest_);
        }
        adopt();
    }
    void adopt() {
        boost::asio::post(workers_, [self = shared_from_this()] {
            std::string failure;
            try {
                self->folder_.adopt(self->partial_, self->digest_);
            } catch (const std::exception& error) {
                failure = error.what();
            }
            boost::asio::post(self->context_, [self, failure] {
                failure.empty() ? self->done_({}) : self->try_next(failure);
            });
        });
    }
    void try_next(const std::string& failure) {
        failure_ = "host " + host() + ": " + failure;
        if (++host_ < hosts_.size()) {
            files_.clear();
            return fetch_file();
        }
        host::delete_all(partial_);
        done_(failure_);
    }

    boost::asio::io_context& context_;
    boost::asio::thread_pool& workers_;
    const content::BundleFolder& folder_;
    Client& client_;
    std::string digest_;
    std::vector<Peer> hosts_;
    Done done_;
    std::string partial_;
    std::size_t host_ = 0;
    std::vector<content::FileDigest> files_;  // that are here
    std::string failure_;
};

std::string BundleFetcher::fetch(const std::string& digest, std::vector<Peer> hosts) {
    State& state = states_[digest];
    const auto now = std::chrono::steady_clock::now();
    if (state.fetch) {
        return "it is being fetched from host " + state.fetch->host();
    }
    if (now < state.retry_at) {
        return "it cannot be fetched: " + state.failure;
    }
    if (hosts.empty()) {
        states_.erase(digest);
        return "no host that has it can be asked";
    }
    state.fetch = std::make_shared<Fetch>(
        *this, digest, std::move(hosts),
        [weak = std::weak_ptr{self_}, digest](const std::string& failure) {
            const auto self = weak.lock();
            if (!self) {
                return;
            }
            BundleFetcher& fetcher = **self;
            if (!failure.empty()) {
                fetcher.states_[digest] = {nullptr, failure,
                                           std::chrono::steady_clock::now() + fetch_retry};
                return;
            }
            fetcher.states_.erase(digest);
            if (fetcher.fetched_) {
                fetcher.fetched_();
            }
        });
    const auto fetch = state.fetch;
    fetch->start();  // It may have failed already.
    return "it is being fetched from host " + fetch->host();
}

}  // namespace shoal::peer
