// BundleFetcher: gets bundles from hosts that have them. One fetch of each, however many wait.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "controlplane/content/bundle_folder.h"
#include "controlplane/peer/client.h"

namespace shoal::peer {

// How long a failure stands before it is tried again.
inline constexpr std::chrono::seconds fetch_retry{5};

class BundleFetcher {
public:
    // Borrows all. On the context's thread.
    BundleFetcher(boost::asio::io_context& context, boost::asio::thread_pool& workers,
                  const content::BundleFolder& folder, Client& client)
        : context_{context}, workers_{workers}, folder_{folder}, client_{client} {}
    BundleFetcher(const BundleFetcher&) = delete;
    BundleFetcher& operator=(const BundleFetcher&) = delete;
    ~BundleFetcher() = default;

    // Called once a bundle has come.
    void on_fetched(std::function<void()> fetched) { fetched_ = std::move(fetched); }

    // Has this one come, from the first of `hosts` that gives it. How that goes, in a sentence.
    [[nodiscard]] std::string fetch(const std::string& digest, std::vector<Peer> hosts);

private:
    class Fetch;
    struct State {
        std::shared_ptr<Fetch> fetch;  // null: it has failed
        std::string failure;
        std::chrono::steady_clock::time_point retry_at;
    };

    boost::asio::io_context& context_;
    boost::asio::thread_pool& workers_;
    const content::BundleFolder& folder_;
    Client& client_;
    std::function<void()> fetched_;
    std::map<std::string, State> states_;
    std::shared_ptr<BundleFetcher*> self_ = std::make_shared<BundleFetcher*>(this);
};

}  // namespace shoal::peer
