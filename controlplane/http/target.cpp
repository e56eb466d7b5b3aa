// Percent-encoding (RFC 3986, 2.1), and no more than that.
#include "controlplane/http/target.h"

#include <algorithm>
#include <cctype>
#include <charconv>

#include "controlplane/http/problem.h"

namespace shoal::rest {
namespace {

std::string decode(std::string_view text) {
    std::string decoded;
    for (std::size_t at = 0; at < text.size(); ++at) {
        if (text[at] != '%') {
            decoded += text[at];
            continue;
        }
        unsigned byte = 0;
        const std::string_view digits = text.substr(at + 1, 2);
        const auto [rest, error] =
            std::from_chars(digits.data(), digits.data() + digits.size(), byte, 16);
        if (error != std::errc{} || digits.size() != 2 || rest != digits.data() + 2 || byte == 0) {
            throw Problem{400, "the target has a % without two hexadecimal digits behind it"};
        }
        decoded += static_cast<char>(byte);
        at += 2;
    }
    return decoded;
}

// Unreserved characters stay (RFC 3986, 2.3).
std::string encode(std::string_view text) {
    constexpr std::string_view digits = "0123456789ABCDEF";
    std::string encoded;
    for (const char character : text) {
        const auto byte = static_cast<unsigned char>(character);
        if (std::isalnum(byte) != 0 || std::string_view{"-._~"}.find(character) < 4) {
            encoded += character;
        } else {
            encoded += {'%', digits[byte >> 4], digits[byte & 15]};
        }
    }
    return encoded;
}

// Calls `each` with what is between the separators.
template <typename Each>
void split(std::string_view text, char separator, Each each) {
    while (!text.empty()) {
        const std::size_t end = std::min(text.find(separator), text.size());
        each(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
}

}  // namespace

void parse_target(std::string_view target, Request& request) {
    if (target.size() > max_target_bytes) {
        throw Problem{400, "the target has " + std::to_string(target.size()) + " bytes: up to " +
                               std::to_string(max_target_bytes) + " are allowed"};
    }
    const std::size_t mark = std::min(target.find('?'), target.size());
    std::string_view path = target.substr(0, mark);
    if (!path.starts_with('/')) {
        throw Problem{400, "the target does not begin with a /"};
    }
    path.remove_prefix(1);
    split(path, '/', [&request](std::string_view segment) {
        if (request.path.size() >= max_segments) {
            throw Problem{404, "there is nothing at a path that deep"};
        }
        request.path.push_back(decode(segment));
    });
    split(target.substr(std::min(mark + 1, target.size())), '&', [&request](std::string_view pair) {
        if (request.query.size() >= max_parameters) {
            throw Problem{
                400, "there are more than " + std::to_string(max_parameters) + " query parameters"};
        }
        const std::size_t equals = std::min(pair.find('='), pair.size());
        request.query[decode(pair.substr(0, equals))] =
            decode(pair.substr(std::min(equals + 1, pair.size())));
    });
}

std::string to_target(const Request& request) {
    std::string target = request.path.empty() ? "/" : "";
    for (const std::string& segment : request.path) {
        target += "/" + encode(segment);
    }
    char separator = '?';
    for (const auto& [name, value] : request.query) {
        target += separator + encode(name) + "=" + encode(value);
        separator = '&';
    }
    return target;
}

std::uint64_t number_of(const Request& request, const std::string& name, std::uint64_t otherwise,
                        std::uint64_t highest) {
    const auto found = request.query.find(name);
    if (found == request.query.end()) {
        return otherwise;
    }
    const std::string& text = found->second;
    std::uint64_t number = 0;
    const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{} || rest != text.data() + text.size() || number > highest) {
        throw Problem{400, "the parameter " + name + " must be a whole number from 0 to " +
                               std::to_string(highest)};
    }
    return number;
}

bool is_asked(const Request& request, const std::string& name) {
    const auto found = request.query.find(name);
    if (found != request.query.end() && found->second != "true" && found->second != "false") {
        throw Problem{400, "the parameter " + name + " must be true or false"};
    }
    return found != request.query.end() && found->second == "true";
}

void expect_parameters(const Request& request, std::initializer_list<std::string_view> known) {
    for (const auto& [name, value] : request.query) {
        if (std::ranges::find(known, std::string_view{name}) == known.end()) {
            throw Problem{400, "there is no parameter " + name.substr(0, 64) + " here"};
        }
    }
}

}  // namespace shoal::rest
