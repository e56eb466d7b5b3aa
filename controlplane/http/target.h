// A request's target (RFC 9112, 3.2.1), taken apart: /v1/microvms/a?limit=5
#pragma once

#include <string_view>

#include "controlplane/http/exchange.h"

namespace shoal::rest {

inline constexpr std::size_t max_target_bytes = 4096;
inline constexpr std::size_t max_segments = 8;
inline constexpr std::size_t max_parameters = 16;

// Fills in path and query, percent-decoded. Throws Problem.
void parse_target(std::string_view target, Request& request);

// The other way round.
[[nodiscard]] std::string to_target(const Request& request);

// Of the query; throws Problem where it is no whole number or beyond `highest`.
[[nodiscard]] std::uint64_t number_of(const Request& request, const std::string& name,
                                      std::uint64_t otherwise, std::uint64_t highest);

// Of the query: name=true. Throws Problem where it is neither true nor false.
[[nodiscard]] bool is_asked(const Request& request, const std::string& name);

// Refuses parameters that are none of `known`. Throws Problem.
void expect_parameters(const Request& request, std::initializer_list<std::string_view> known);

}  // namespace shoal::rest
