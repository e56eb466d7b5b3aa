// Saves a body as a file: under a temporary name, flushed, and renamed when all of it is there.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "controlplane/content/partial_file.h"
#include "controlplane/http/exchange.h"
#include "controlplane/http/problem.h"

namespace shoal::content {

struct Saved {
    std::optional<rest::Problem> problem{};  // none: it is there
    std::string sha256{};                    // of what is durable
    std::uint64_t size_bytes = 0;
};
using OnSaved = std::move_only_function<void(const Saved&)>;

// Writes, hashes and flushes beside the loop, one piece at a time; zeros become holes. What is
// `passing` is neither hashed nor flushed (partial_file.h). What is at
// `path` is replaced; its folder exists. Calls `done` on the context's thread, once. Borrows
// context and workers.
void save(boost::asio::io_context& context, boost::asio::thread_pool& workers,
          std::shared_ptr<rest::Source> source, std::string path, OnSaved done,
          Keeping keeping = Keeping::durable);

}  // namespace shoal::content
