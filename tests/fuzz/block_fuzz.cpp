// Fuzzes the block device: the input is a malicious driver's memory and what it does to registers.
//
// Whatever it does, the device neither crashes nor hangs, writes nothing outside the image, and
// after a reset serves a well-formed request.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>

#include "devices/abi/virtio_block.h"
#include "devices/abi/virtio_mmio.h"
#include "devices/host/check.h"
#include "devices/host/reactor.h"
#include "devices/machine/guest_memory.h"
#include "devices/virtio/block.h"
#include "devices/virtio/mmio_transport.h"

namespace {

using namespace shoal;
using abi::virtio::MmioRegister;
using machine::Gpa;

constexpr std::uint64_t memory_bytes = 1 << 20;
constexpr std::uint64_t image_bytes = 256 << 10;
// What the input fills: rings at fixed places, and headers, ranges and tables behind them.
constexpr std::size_t window_bytes = 8192;
constexpr std::uint32_t size = 16;
constexpr std::uint64_t avail_at = 512;
constexpr std::uint64_t used_at = 1024;
// What the well-behaved driver uses.
constexpr std::uint64_t good_at = 0x1'0000;

struct NoIrq final : machine::IrqLine {
    void raise() noexcept override {}
};

// Takes the input apart, byte by byte; zeros when it is at its end.
class Input {
public:
    Input(const std::uint8_t* data, std::size_t size_bytes) : data_{data}, left_{size_bytes} {}
    [[nodiscard]] bool is_empty() const { return left_ == 0; }
    std::uint8_t byte() {
        if (left_ == 0) {
            return 0;
        }
        --left_;
        return *data_++;
    }
    std::uint32_t word() {
        std::uint32_t value = 0;
        for (int count = 0; count < 4; ++count) {
            value = value << 8 | byte();
        }
        return value;
    }

private:
    const std::uint8_t* data_;
    std::size_t left_;
};

// One for all runs: opening disks is slow.
struct Machine {
    explicit Machine(backend::DiskIo io)
        : image{::memfd_create("image", MFD_CLOEXEC)},
          device{{.disk = {.path = path(image), .io = io},
                  .cache = virtio::CacheType::writeback,
                  .rate_limiter = {}},
                 reactor},
          transport{device, memory, irq} {}
    static std::string path(const host::UniqueFd& fd) {
        SHOAL_CHECK(::ftruncate(fd.get(), image_bytes) == 0);
        return "/proc/self/fd/" + std::to_string(fd.get());
    }

    void write(MmioRegister which, std::uint32_t value) {
        transport.write(static_cast<std::uint64_t>(which), std::as_bytes(std::span{&value, 1}));
    }
    void serve() {
        for (int round = 0; round < 4; ++round) {
            if (transport.notify_event().drain()) {
                transport.process_queues();
            }
            reactor.dispatch(0);
        }
    }
    void start(std::uint64_t features, std::uint64_t base) {
        for (const std::uint32_t status : {0U, 1U, 3U}) {
            write(MmioRegister::status, status);
        }
        write(MmioRegister::driver_features_select, 0);
        write(MmioRegister::driver_features, static_cast<std::uint32_t>(features));
        write(MmioRegister::driver_features_select, 1);
        write(MmioRegister::driver_features, 1 | abi::virtio::feature::ring_reset >> 32);
        write(MmioRegister::status, 11);
        set_up_queue(base);
        write(MmioRegister::status, 15);
    }
    void set_up_queue(std::uint64_t base) {
        write(MmioRegister::queue_select, 0);
        write(MmioRegister::queue_size, size);
        write(MmioRegister::queue_descriptors_low, static_cast<std::uint32_t>(base));
        write(MmioRegister::queue_driver_low, static_cast<std::uint32_t>(base + avail_at));
        write(MmioRegister::queue_device_low, static_cast<std::uint32_t>(base + used_at));
        write(MmioRegister::queue_ready, 1);
    }
    // In mid-flight, and perhaps from its beginning again.
    void stop_queue(std::uint8_t choice) {
        write(MmioRegister::queue_select, 0);
        if ((choice & 1) != 0) {
            write(MmioRegister::queue_ready, 0);
        } else {
            write(MmioRegister::queue_reset, 1);
        }
        if ((choice & 2) != 0) {
            set_up_queue(0);
        }
    }
    void check_that_it_works();

    machine::GuestMemory memory{memory_bytes};
    host::Reactor reactor;
    NoIrq irq;
    host::UniqueFd image;
    virtio::Block device;
    virtio::MmioTransport transport;
};

// Reads the first sector as a well-behaved driver.
void Machine::check_that_it_works() {
    using namespace abi::virtio;
    constexpr std::uint64_t header_at = good_at + 0x2000;
    const auto window = memory.slice(Gpa{good_at}, 0x4000).value();
    std::ranges::fill(window, std::byte{0xFF});
    std::ranges::fill(window.first(0x2000), std::byte{0});
    const Descriptor header{header_at, 16, descriptor_flag::next, 1};
    const Descriptor data{header_at + 16, 513, descriptor_flag::write, 0};
    SHOAL_CHECK(memory.write(Gpa{good_at}, header) && memory.write(Gpa{good_at + 16}, data) &&
                memory.write(Gpa{header_at}, block::RequestHeader{block::RequestType::in, 0, 0}) &&
                memory.write(Gpa{good_at + avail_at + 2}, std::uint16_t{1}));
    start(0, good_at);
    for (int round = 0; round < 1000; ++round) {
        serve();
        if (memory.read<std::uint16_t>(Gpa{good_at + used_at + 2}).value() == 1) {
            SHOAL_CHECK(memory.read<std::uint8_t>(Gpa{header_at + 16 + 512}).value() == 0);
            return;
        }
        reactor.dispatch(10);
    }
    SHOAL_CHECK(!"the device does not answer any more");
}

void misbehave(Machine& machine, Input& input) {
    while (!input.is_empty()) {
        const std::uint8_t op = input.byte();
        if (op >= 0xFC) {
            machine.stop_queue(op);
            continue;
        }
        switch (op % 4) {
            case 0:
                machine.write(MmioRegister::queue_notify, 0);
                machine.serve();
                break;
            case 1:
                machine.write(static_cast<MmioRegister>(input.byte() & 0xFCU), input.word());
                break;
            case 2: {
                const std::uint64_t at = input.word() % window_bytes;
                static_cast<void>(machine.memory.write(Gpa{at}, input.byte()));
                break;
            }
            default:
                static_cast<void>(
                    machine.memory.write(Gpa{avail_at + 2}, std::uint16_t{input.byte()}));
                break;
        }
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size_bytes) {
    static Machine sync{backend::DiskIo::sync};
    static Machine async{backend::DiskIo::async};
    if (size_bytes < 3) {
        return 0;
    }
    Machine& machine = (data[0] & 1) != 0 ? async : sync;
    const std::uint64_t features = std::uint64_t{data[0]} << 23 & (3ULL << 28);
    const std::size_t script_bytes = std::min<std::size_t>(data[1], size_bytes - 2);
    Input script{data + 2, script_bytes};
    const std::size_t memory_size = std::min(size_bytes - 2 - script_bytes, window_bytes);

    const auto window = machine.memory.slice(Gpa{0}, window_bytes).value();
    std::ranges::fill(window, std::byte{0});
    std::memcpy(window.data(), data + 2 + script_bytes, memory_size);
    machine.start(features, 0);
    machine.serve();
    misbehave(machine, script);
    machine.check_that_it_works();

    struct stat file {};
    SHOAL_CHECK(::fstat(machine.image.get(), &file) == 0);
    SHOAL_CHECK(static_cast<std::uint64_t>(file.st_size) == image_bytes);
    return 0;
}
