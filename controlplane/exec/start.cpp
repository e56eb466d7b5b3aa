// Both ways make sure of the same.
#include "controlplane/exec/start.h"

#include <algorithm>
#include <cstdint>
#include <optional>

namespace shoal::exec {
namespace {

void check(const Start& start) {
    if (start.arguments.empty() || start.arguments.front().empty()) {
        throw FrameError{"there is no program to run"};
    }
    if (start.arguments.size() > max_words || start.environment.size() > max_words) {
        throw FrameError{"there are more than " + std::to_string(max_words) + " words"};
    }
    const auto is_assignment = [](const std::string& word) {
        const std::size_t equals = word.find('=');
        return equals != std::string::npos && equals != 0;
    };
    const auto wrong = std::ranges::find_if_not(start.environment, is_assignment);
    if (wrong != start.environment.end()) {
        throw FrameError{*wrong + " is not KEY=VALUE"};
    }
}

void put_count(std::string& payload, std::size_t count) {
    payload += static_cast<char>(count & 0xFF);
    payload += static_cast<char>(count >> 8 & 0xFF);
}

// What is not taken yet of a payload.
class Words {
public:
    explicit Words(std::string_view rest) : rest_{rest} {}

    [[nodiscard]] std::optional<std::size_t> take_count() {
        if (rest_.size() < 2) {
            return std::nullopt;
        }
        const std::size_t low = static_cast<std::uint8_t>(rest_[0]);
        const std::size_t high = static_cast<std::uint8_t>(rest_[1]);
        rest_.remove_prefix(2);
        return low | high << 8;
    }
    [[nodiscard]] std::optional<std::string> take_word() {
        const std::size_t end = rest_.find('\0');
        if (end == std::string_view::npos) {
            return std::nullopt;
        }
        std::string word{rest_.substr(0, end)};
        rest_.remove_prefix(end + 1);
        return word;
    }
    [[nodiscard]] bool take_words(std::size_t count, std::vector<std::string>& words) {
        while (count-- > 0) {
            auto word = take_word();
            if (!word) {
                return false;
            }
            words.push_back(std::move(*word));
        }
        return true;
    }
    [[nodiscard]] bool is_empty() const { return rest_.empty(); }

private:
    std::string_view rest_;
};

}  // namespace

std::string to_payload(const Start& start) {
    check(start);
    std::string payload;
    put_count(payload, start.arguments.size());
    put_count(payload, start.environment.size());
    const auto put = [&payload](const std::string& word) {
        payload += word;
        payload += '\0';
        return word.find('\0') == std::string::npos;
    };
    const bool are_words = put(start.folder) && std::ranges::all_of(start.arguments, put) &&
                           std::ranges::all_of(start.environment, put);
    if (!are_words) {
        throw FrameError{"a word has a NUL in it"};
    }
    if (payload.size() > max_payload_bytes) {
        throw FrameError{"the command's words have " + std::to_string(payload.size()) +
                         " bytes: at most " + std::to_string(max_payload_bytes) + " are allowed"};
    }
    return payload;
}

Start start_in(std::string_view payload) {
    Words words{payload};
    const auto arguments = words.take_count();
    const auto assignments = words.take_count();
    auto folder = words.take_word();
    if (!arguments || !assignments || !folder) {
        throw FrameError{"a start is cut off"};
    }
    Start start{std::move(*folder), {}, {}};
    if (!words.take_words(*arguments, start.arguments) ||
        !words.take_words(*assignments, start.environment) || !words.is_empty()) {
        throw FrameError{"a start has not as many words as it says"};
    }
    check(start);
    return start;
}

}  // namespace shoal::exec
