// One operation of each kind is under way at any time.
#include "controlplane/api/console_session.h"

#include <fcntl.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/write.hpp>
#include <string_view>
#include <utility>

#include "devices/host/os_error.h"

namespace shoal::rest {
namespace {

using boost::system::error_code;

}  // namespace

ConsoleSession::ConsoleSession(Socket connection, ConsoleEnds ends)
    : connection_{std::move(connection)},
      input_{connection_.get_executor()},
      output_{std::move(ends.output)},
      ending_{std::move(ends.ending)} {
    input_.assign(host::check_os(::fcntl(ends.input.get(), F_DUPFD_CLOEXEC, 0), "fcntl"));
}

void ConsoleSession::start() {
    write();  // the credit
    read_frames();
}

void ConsoleSession::end(const exec::Ended& ended) {
    if (!is_attached()) {
        return;
    }
    is_ending_ = true;
    queued_ += exec::ended_frame(ended);
    error_code ignored;
    input_.close(ignored);
    write();
}

void ConsoleSession::close() noexcept {
    is_closed_ = true;
    output_.reset();
    error_code ignored;
    input_.close(ignored);
    connection_.close(ignored);
}

void ConsoleSession::read_output() {
    is_reading_output_ = true;
    output_->next([weak = weak_from_this()](std::optional<std::string> piece) {
        if (const auto self = weak.lock()) {
            self->is_reading_output_ = false;
            self->on_output(std::move(piece));
        }
    });
}

void ConsoleSession::on_output(std::optional<std::string> piece) {
    if (!is_attached()) {
        return;
    }
    if (!piece) {
        return end(ending_());
    }
    queued_ += exec::to_bytes({exec::FrameType::output, *piece});
    write();
}

void ConsoleSession::write() {
    if (is_sending_ || is_closed_) {
        return;
    }
    sending_ = std::exchange(queued_, {});
    if (const auto due = std::exchange(credit_due_, 0); due > 0 && !is_ending_) {
        sending_ += exec::credit_frame(static_cast<std::uint32_t>(due));
    }
    if (sending_.empty()) {
        if (is_ending_) {
            close();
        } else if (!is_reading_output_) {
            read_output();
        }
        return;
    }
    is_sending_ = true;
    boost::asio::async_write(connection_, boost::asio::buffer(sending_),
                             [self = shared_from_this()](error_code error, std::size_t) {
                                 self->is_sending_ = false;
                                 error ? self->close() : self->write();
                             });
}

// Also while it ends: whoever is attached may hang up.
void ConsoleSession::read_frames() {
    connection_.async_read_some(boost::asio::buffer(received_),
                                [self = shared_from_this()](error_code error, std::size_t count) {
                                    if (error || self->is_closed_) {
                                        return self->close();
                                    }
                                    if (self->is_attached()) {
                                        self->frames_.append({self->received_.data(), count});
                                        self->take_frames();
                                    }
                                    self->read_frames();
                                });
}

void ConsoleSession::take_frames() {
    try {
        while (const auto frame = frames_.next()) {
            if (frame->type != exec::FrameType::input) {
                throw exec::FrameError{"a console takes input alone"};
            }
            take_input(frame->payload);
        }
        feed();
    } catch (const exec::FrameError& error) {
        end({console_failed, error.what()});
    }
}

// An end of the input is none to a console.
void ConsoleSession::take_input(std::string_view bytes) {
    if (bytes.size() > credit_ - credit_due_) {
        throw exec::FrameError{"more input has come than the console has room for"};
    }
    credit_ -= bytes.size();
    typed_ += bytes;
}

void ConsoleSession::feed() {
    if (is_feeding_ || !input_.is_open()) {
        return;
    }
    if (feeding_.empty()) {
        feeding_ = std::exchange(typed_, {});
    }
    if (feeding_.empty()) {
        return;
    }
    is_feeding_ = true;
    input_.async_write_some(boost::asio::buffer(feeding_),
                            [self = shared_from_this()](error_code error, std::size_t count) {
                                self->is_feeding_ = false;
                                if (error) {  // The guest is gone, which its output tells.
                                    return;
                                }
                                self->feeding_.erase(0, count);
                                self->credit_ += count;
                                self->credit_due_ += count;
                                self->write();
                                self->feed();
                            });
}

}  // namespace shoal::rest
