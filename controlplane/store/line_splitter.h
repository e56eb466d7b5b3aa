// LineSplitter: a stream's bytes, cut where lines end. Bounded.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace shoal::store {

class LineSplitter {
public:
    explicit LineSplitter(std::size_t max_line_bytes) : max_line_bytes_{max_line_bytes} {}

    // Calls `each` for every line that is complete, without its end. False: a line is longer than
    // the limit, or `each` returned false, and the stream is of no more use.
    template <typename Each>
    [[nodiscard]] bool feed(std::string_view bytes, Each each) {
        for (;;) {
            const std::size_t end = bytes.find('\n');
            const std::string_view piece = bytes.substr(0, end);
            if (piece.size() > max_line_bytes_ - line_.size()) {
                return false;
            }
            line_ += piece;
            if (end == std::string_view::npos) {
                return true;
            }
            bytes.remove_prefix(end + 1);
            std::string line;
            line.swap(line_);
            if (!each(std::string_view{line})) {
                return false;
            }
        }
    }

private:
    std::size_t max_line_bytes_;
    std::string line_;
};

}  // namespace shoal::store
