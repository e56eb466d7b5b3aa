// Dice: all that is random in a simulation, from its seed.
#pragma once

#include <chrono>
#include <cstdint>
#include <random>

namespace shoal::sim {

class Dice {
public:
    explicit Dice(std::uint64_t seed) : engine_{seed} {}

    [[nodiscard]] std::uint64_t below(std::uint64_t end) { return engine_() % end; }
    [[nodiscard]] bool one_in(std::uint64_t count) { return below(count) == 0; }
    [[nodiscard]] std::chrono::nanoseconds between(std::chrono::nanoseconds low,
                                                   std::chrono::nanoseconds high) {
        const auto range = static_cast<std::uint64_t>((high - low).count()) + 1;
        return low + std::chrono::nanoseconds{static_cast<std::int64_t>(below(range))};
    }

private:
    std::mt19937_64 engine_;
};

}  // namespace shoal::sim
