// The block device against a model: the image as a vector of bytes.
#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <set>
#include <vector>

#include "tests/unit/devices/virtio/block_fixture.h"

namespace shoal::virtio {
namespace {

namespace block = abi::virtio::block;
using Type = BlockFixture::Type;
using Answer = BlockFixture::Answer;

class RandomDriver {
public:
    RandomDriver(std::uint32_t seed, backend::DiskIo io, backend::DiskCaching caching)
        : random_{seed},
          f_{{.disk = {.path = {}, .caching = caching, .io = io},
              .cache = CacheType::writeback,
              .rate_limiter = {}}},
          model_(BlockFixture::image_bytes) {
        f_.start();
    }

    // Some requests at once that do not touch the same sectors, and what came of them.
    void run_batch() {
        busy_.clear();
        expected_reads_.clear();
        const auto before = f_.ring.used_idx();
        const std::uint32_t count = 1 + below(40);
        std::uint16_t offered = 0;
        for (std::uint32_t idx = 0; idx < count; ++idx) {
            offered = static_cast<std::uint16_t>(offered + (offer_one() ? 1 : 0));
        }
        f_.notify();
        f_.await(static_cast<std::uint16_t>(before + offered));
        for (const Read& read : expected_reads_) {
            CHECK(f_.status(read.number) == Answer::ok);
            CHECK(std::ranges::equal(f_.data_of(read.number, read.bytes.size()), read.bytes));
        }
    }
    void check_image() const { CHECK(f_.image.read(0, BlockFixture::image_bytes) == model_); }

private:
    struct Read {
        std::uint16_t number;
        std::vector<std::byte> bytes;
    };

    std::uint32_t below(std::uint32_t limit) {
        return static_cast<std::uint32_t>(random_() % limit);
    }

    bool offer_one() {
        const std::uint32_t sectors = 1 + below(below(4) == 0 ? 128 : 8);
        const std::uint32_t sector = below(BlockFixture::image_bytes / 512 - sectors);
        // Sectors of a page that another request of the batch changes are left alone as well.
        for (std::uint32_t page = sector / 8; page <= (sector + sectors - 1) / 8; ++page) {
            if (busy_.contains(page)) {
                return false;
            }
        }
        for (std::uint32_t page = sector / 8; page <= (sector + sectors - 1) / 8; ++page) {
            busy_.insert(page);
        }
        const auto region = std::span{model_}.subspan(512ULL * sector, 512ULL * sectors);
        if (const std::uint32_t what = below(64); what < 28) {
            read(sector, region);
        } else if (what < 56) {
            write(sector, region);
        } else if (what < 63) {
            range(below(2) == 0 ? block::range_flag_unmap : 0, sector, region);
        } else {
            f_.offer(Type::flush, 0, 0);
        }
        return true;
    }
    void read(std::uint32_t sector, std::span<const std::byte> region) {
        const auto number = f_.offer(Type::in, sector, static_cast<std::uint32_t>(region.size()));
        expected_reads_.push_back({number, {region.begin(), region.end()}});
    }
    void write(std::uint32_t sector, std::span<std::byte> region) {
        for (std::byte& byte : region) {
            byte = static_cast<std::byte>(random_());
        }
        f_.put_next_data(region);
        f_.offer(Type::out, sector, static_cast<std::uint32_t>(region.size()));
    }
    void range(std::uint32_t flags, std::uint32_t sector, std::span<std::byte> region) {
        const block::Range what{sector, static_cast<std::uint32_t>(region.size() / 512), flags};
        f_.put_next_data(std::as_bytes(std::span{&what, 1}));
        f_.offer(Type::write_zeroes, 0, sizeof what);
        std::ranges::fill(region, std::byte{0});
    }

    std::mt19937 random_;
    BlockFixture f_;
    std::vector<std::byte> model_;
    std::set<std::uint32_t> busy_;  // pages of the image
    std::vector<Read> expected_reads_;
};

}  // namespace

TEST_CASE_TEMPLATE("random requests do to the image what they do to a model of it", Io, SyncIo,
                   AsyncIo) {
    const std::uint32_t seed = std::random_device{}();
    CAPTURE(seed);
    backend::DiskCaching caching = backend::DiskCaching::page_cache;
    SUBCASE("through the page cache") {
        caching = backend::DiskCaching::page_cache;
    }
    SUBCASE("direct") {
        caching = backend::DiskCaching::direct;
    }
    RandomDriver driver{seed, Io::value, caching};
    for (int batch = 0; batch < 40; ++batch) {
        driver.run_batch();
    }
    driver.check_image();
}

}  // namespace shoal::virtio
