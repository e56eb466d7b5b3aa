// The pages that a machine writes to: KVM's dirty log for its vCPUs, the memory's write log for its
// devices. Both are emptied by who asks, so all who ask share them.
#include <algorithm>
#include <functional>
#include <mutex>
#include <vector>

#include "vmm/kvm/dirty_log.h"
#include "vmm/machine/machine.h"
#include "vmm/machine/page_set.h"

namespace shoal::vmm {

class WrittenPages {
public:
    WrittenPages(kvm::Vm& vm, const machine::GuestMemory& memory)
        : memory_{memory}, vcpus_{vm, memory} {
        memory_.write_log().start();
    }
    WrittenPages(const WrittenPages&) = delete;
    WrittenPages& operator=(const WrittenPages&) = delete;
    ~WrittenPages() { memory_.write_log().stop(); }

    // A reader's set has what was written since it was taken last.
    void add(PageSet& reader) {
        const std::scoped_lock lock{mutex_};
        collect();  // the others'
        reader = empty_set(memory_.size_bytes());
        readers_.push_back(&reader);
    }
    void remove(PageSet& reader) noexcept {
        const std::scoped_lock lock{mutex_};
        std::erase(readers_, &reader);
    }
    void take(PageSet& reader, std::span<std::uint64_t> bitmap) {
        const std::scoped_lock lock{mutex_};
        collect();
        std::ranges::transform(bitmap, reader, bitmap.begin(), std::bit_or{});
        std::ranges::fill(reader, 0);
    }

private:
    void collect() {
        PageSet pages = empty_set(memory_.size_bytes());
        vcpus_.take(pages);
        memory_.write_log().take(pages);
        for (PageSet* reader : readers_) {
            add_pages(*reader, pages);
        }
    }

    const machine::GuestMemory& memory_;
    kvm::DirtyLog vcpus_;
    std::mutex mutex_;
    std::vector<PageSet*> readers_;
};

namespace {

class Reader final : public PageLog {
public:
    explicit Reader(std::shared_ptr<WrittenPages> written) : written_{std::move(written)} {
        written_->add(pages_);
    }
    Reader(const Reader&) = delete;
    Reader& operator=(const Reader&) = delete;
    ~Reader() override { written_->remove(pages_); }

    void take(std::span<std::uint64_t> bitmap) override { written_->take(pages_, bitmap); }

private:
    std::shared_ptr<WrittenPages> written_;
    PageSet pages_;
};

}  // namespace

// For a moment nothing writes: the write log cannot start while devices run.
std::unique_ptr<PageLog> Machine::log_pages() {
    std::unique_ptr<PageLog> log;
    while_paused([&] {
        auto written = written_pages_.lock();
        if (!written) {
            written = std::make_shared<WrittenPages>(vm_, memory_);
            written_pages_ = written;
        }
        log = std::make_unique<Reader>(std::move(written));
    });
    return log;
}

}  // namespace shoal::vmm
