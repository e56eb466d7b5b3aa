// FileSource: a file as a body, read beside the loop.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>
#include <memory>
#include <string>

#include "controlplane/http/exchange.h"

namespace shoal::content {

class FileSource final : public rest::Source {
public:
    // Borrows context and workers. Throws std::system_error where it cannot be opened.
    FileSource(boost::asio::io_context& context, boost::asio::thread_pool& workers,
               const std::string& path);
    FileSource(const FileSource&) = delete;
    FileSource& operator=(const FileSource&) = delete;
    ~FileSource() override = default;

    void next(Handler handler) override;
    [[nodiscard]] std::string failure() const override { return failure_; }

private:
    struct File;
    struct Piece {
        std::string bytes;
        std::string failure;
    };
    [[nodiscard]] static Piece read(const File& file);
    void take(Piece piece, Handler handler);

    boost::asio::io_context& context_;
    boost::asio::thread_pool& workers_;
    std::shared_ptr<const File> file_;  // its position is the kernel's
    std::string failure_;
    std::shared_ptr<FileSource*> self_ = std::make_shared<FileSource*>(this);
};

}  // namespace shoal::content
