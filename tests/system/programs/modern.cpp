// A C++ program on glibc: exceptions, iostream, locale, sorting, thread-local storage.
#include <algorithm>
#include <cstdint>
#include <iomanip>
#include <iostream>
#include <locale>
#include <map>
#include <memory>
#include <numeric>
#include <random>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

thread_local std::vector<int> per_thread{1, 2, 3};
thread_local int counter = 40;

struct Grouping : std::numpunct<char> {
    char do_thousands_sep() const override { return '\''; }
    std::string do_grouping() const override { return "\3"; }
};

struct Noisy {
    ~Noisy() { std::cout << "unwound\n"; }
};

[[gnu::noinline]] int descend(int depth) {
    const Noisy noisy;
    if (depth == 0) {
        throw std::out_of_range("at the bottom");
    }
    return descend(depth - 1) + 1;
}

void use_exceptions() {
    try {
        std::cout << descend(3) << '\n';
    } catch (const std::out_of_range& error) {
        std::cout << "caught " << error.what() << '\n';
    }
    try {
        std::cout << std::stoi("no number") << '\n';
    } catch (const std::exception& error) {
        std::cout << "caught " << error.what() << '\n';
    }
    try {
        const std::string huge(std::size_t{1} << 50, 'x');  // more than any address space
        std::cout << "too much memory was given: " << huge.size() << '\n';
    } catch (const std::bad_alloc&) {
        std::cout << "caught bad_alloc\n";
    }
}

void use_sort() {
    std::vector<std::uint64_t> numbers(1'000'000);
    std::mt19937_64 random{7};
    std::ranges::generate(numbers, random);
    std::ranges::sort(numbers);
    std::uint64_t mix = 0;
    for (std::size_t idx = 0; idx < numbers.size(); ++idx) {
        mix = mix * 31 + numbers[idx] * idx;
    }
    std::cout << "sorted " << std::ranges::is_sorted(numbers) << ' ' << mix << '\n';
}

void use_streams() {
    std::ostringstream text;
    text.imbue(std::locale{std::locale::classic(), new Grouping});
    text << 123456789 << ' ' << std::fixed << std::setprecision(3) << 3.14159265;
    std::cout << text.str() << ' ' << std::hex << 255 << std::dec << '\n';
    std::map<std::string, int> counts;
    for (std::string word; std::cin >> word;) {
        ++counts[word];
    }
    for (const auto& [word, count] : counts) {
        std::cout << word << '=' << count << '\n';
    }
    std::cout << "locale " << std::locale{""}.name() << '\n';
}

}  // namespace

int main() {
    use_exceptions();
    use_sort();
    use_streams();
    counter += static_cast<int>(per_thread.size()) - 1;
    std::cout << "thread-local " << counter << std::endl;
    std::cerr << "and to stderr\n";
    return 7;
}
