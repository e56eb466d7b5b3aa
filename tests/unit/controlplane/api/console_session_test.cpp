// Both ends are real descriptors; the output is what the test says.
#include "controlplane/api/console_session.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <array>
#include <boost/asio/local/connect_pair.hpp>
#include <boost/asio/post.hpp>
#include <deque>
#include <memory>
#include <string>
#include <utility>

#include "devices/host/pipe.h"

namespace shoal::rest::test {
namespace {

// Pieces that are there already; then nothing, until it is over.
class Pieces final : public Source {
public:
    Pieces(boost::asio::io_context& context, std::deque<std::string>& pieces, const bool& is_over)
        : context_{context}, pieces_{pieces}, is_over_{is_over} {}

    void next(Handler handler) override {
        boost::asio::post(
            context_, [this, weak = std::weak_ptr{self_}, handler = std::move(handler)]() mutable {
                if (weak.expired()) {
                    return;
                }
                if (!pieces_.empty()) {
                    auto piece = std::move(pieces_.front());
                    pieces_.pop_front();
                    handler(std::move(piece));
                } else if (is_over_) {
                    handler(std::nullopt);
                }
            });
    }

private:
    boost::asio::io_context& context_;
    std::deque<std::string>& pieces_;
    const bool& is_over_;
    std::shared_ptr<bool> self_ = std::make_shared<bool>();
};

struct Rig {
    Rig() {
        host::Pipe pipe = host::make_pipe();
        guest = std::move(pipe.read);
        ConsoleSession::Socket ours{context};
        boost::asio::local::connect_pair(ours, theirs);
        theirs.non_blocking(true);
        session = std::make_shared<ConsoleSession>(
            std::move(ours), ConsoleEnds{std::move(pipe.write),
                                         std::make_unique<Pieces>(context, pieces, is_over), [] {
                                             return exec::Ended{3, "it ended"};
                                         }});
    }
    void run() {
        context.restart();
        context.poll();
    }
    // All that whoever is attached reads now, by types.
    void read() {
        std::array<char, 65536> bytes;
        boost::system::error_code error;
        for (;;) {
            run();
            const std::size_t count = theirs.read_some(boost::asio::buffer(bytes), error);
            if (error) {
                is_hung_up = error == boost::asio::error::eof;
                return;
            }
            frames.append({bytes.data(), count});
            while (const auto frame = frames.next()) {
                switch (frame->type) {
                    case exec::FrameType::output:
                        output += frame->payload;
                        break;
                    case exec::FrameType::credit:
                        credit += exec::credit_in(frame->payload).value();
                        break;
                    default:
                        REQUIRE(frame->type == exec::FrameType::ended);
                        ended = exec::ended_in(frame->payload);
                }
            }
        }
    }
    void type(const std::string& text) {
        const std::string bytes = exec::to_bytes({exec::FrameType::input, text});
        for (std::string_view rest = bytes; !rest.empty();) {
            boost::system::error_code full;
            rest.remove_prefix(theirs.write_some(boost::asio::buffer(rest), full));
            run();
        }
    }
    std::string read_in_guest(std::size_t most = 65536) {
        std::string bytes(most, '\0');
        bytes.resize(static_cast<std::size_t>(::read(guest.get(), bytes.data(), bytes.size())));
        return bytes;
    }

    boost::asio::io_context context;
    std::deque<std::string> pieces;
    bool is_over = false;
    host::UniqueFd guest;
    ConsoleSession::Socket theirs{context};
    std::shared_ptr<ConsoleSession> session;
    exec::FrameReader frames;
    std::string output;
    std::size_t credit = 0;
    std::optional<exec::Ended> ended;
    bool is_hung_up = false;
};

}  // namespace

TEST_CASE("a console's output comes in frames, and how its microVM ended behind it") {
    Rig rig;
    rig.pieces = {"one ", std::string(exec::max_payload_bytes, 'x'), " two"};
    rig.is_over = true;
    rig.session->start();
    rig.read();
    CHECK(rig.output == "one " + std::string(exec::max_payload_bytes, 'x') + " two");
    CHECK(rig.ended == exec::Ended{3, "it ended"});
    CHECK(rig.is_hung_up);
}

TEST_CASE("what is typed at a console goes to the guest, as far as that takes it") {
    Rig rig;
    rig.session->start();
    rig.read();
    CHECK(rig.credit == exec::window_bytes);
    rig.type("hello\n");
    CHECK(rig.read_in_guest() == "hello\n");
    rig.type("");  // no end
    rig.type("again");
    CHECK(rig.read_in_guest() == "again");
    rig.read();
    CHECK(rig.credit == exec::window_bytes + 11);
    rig.credit -= 11;

    // The pipe takes a window, and the session one more; credit comes as the guest reads.
    rig.type(std::string(exec::window_bytes, 'a'));
    rig.read();
    REQUIRE(rig.credit == 2 * exec::window_bytes);
    rig.type(std::string(exec::window_bytes, 'b'));
    rig.read();
    CHECK(rig.credit == 2 * exec::window_bytes);
    CHECK_FALSE(rig.is_hung_up);
    SUBCASE("and then no more") {
        rig.type("c");
        rig.read();
        REQUIRE(rig.ended);
        CHECK(rig.ended->code == 125);
        CHECK(rig.ended->reason == "more input has come than the console has room for");
        CHECK(rig.is_hung_up);
    }
    SUBCASE("until the guest reads") {
        CHECK(rig.read_in_guest() == std::string(65536, 'a'));
        rig.read();
        CHECK(rig.credit > 2 * exec::window_bytes);
        CHECK(rig.read_in_guest(10) == "bbbbbbbbbb");
    }
}

TEST_CASE("a console that is not read holds one piece of output, and is ended all the same") {
    Rig rig;
    for (int count = 0; count < 100; ++count) {
        rig.pieces.emplace_back(exec::max_payload_bytes, 'x');
    }
    rig.session->start();
    rig.run();
    const std::size_t left = rig.pieces.size();
    CHECK(left > 90);  // what a socket holds, and one
    rig.session->end({125, "taken over"});
    CHECK_FALSE(rig.session->is_attached());
    CHECK(rig.read_in_guest().empty());  // nobody writes there any more
    rig.read();
    CHECK(rig.pieces.size() == left);
    CHECK(rig.output.size() == (100 - left) * exec::max_payload_bytes);
    CHECK(rig.ended == exec::Ended{125, "taken over"});
    CHECK(rig.is_hung_up);
}

TEST_CASE("whoever does not keep to a console's protocol is told so, and cut off") {
    Rig rig;
    rig.session->start();
    const auto send = [&](const std::string& bytes) {
        rig.theirs.write_some(boost::asio::buffer(bytes));
        rig.read();
    };
    SUBCASE("by a frame that is not its own") {
        send(exec::to_bytes({exec::FrameType::start, "x"}));
        REQUIRE(rig.ended);
        CHECK(rig.ended->reason == "a console takes input alone");
    }
    SUBCASE("by none at all") {
        send("GET / HTTP/1.1\r\n\r\n");
        REQUIRE(rig.ended);
        CHECK(rig.ended->reason == "there is no frame of type 71");
    }
    CHECK(rig.is_hung_up);
}

TEST_CASE("a console's session goes when whoever was attached hangs up") {
    Rig rig;
    const std::weak_ptr<ConsoleSession> weak = rig.session;
    rig.session->start();
    rig.session.reset();
    rig.read();
    CHECK_FALSE(weak.expired());
    rig.theirs.close();
    rig.run();
    CHECK(weak.expired());
    char byte = 0;
    CHECK(::read(rig.guest.get(), &byte, 1) == 0);
}

}  // namespace shoal::rest::test
