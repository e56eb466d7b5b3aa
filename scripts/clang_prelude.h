// Included before every host file that clang 14 compiles (clang-tidy, sanitizers): makes
// libstdc++ 12 offer std::expected, which asks for the concepts of a later clang. std::variant is
// read first: with that claim it would use what clang 14 lacks (P0848).
#pragma once

#include <variant>

#undef __cpp_concepts
#define __cpp_concepts 202002L
