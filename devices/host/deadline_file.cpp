// A shared mapping of one word.
#include "devices/host/deadline_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "devices/host/unique_fd.h"

namespace shoal::host {
namespace {

constexpr std::size_t size_bytes = sizeof(std::uint64_t);

Mapping map(const std::string& path, DeadlineFile::Access access) {
    const bool writes = access == DeadlineFile::Access::write;
    const UniqueFd file{
        ::open(path.c_str(), writes ? O_RDWR | O_CREAT | O_CLOEXEC : O_RDONLY | O_CLOEXEC, 0644)};
    if (!file) {
        throw_os_error("cannot open " + path);
    }
    struct stat facts {};
    check_os(::fstat(file.get(), &facts), "fstat");
    if (writes && facts.st_size == 0) {
        check_os(::ftruncate(file.get(), size_bytes), "ftruncate");
    } else if (facts.st_size != size_bytes) {  // a page behind its end would kill who looks at it
        throw_os_error(path + " is no deadline: it has not 8 bytes", EINVAL);
    }
    return {size_bytes, writes ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, file.get()};
}

}  // namespace

DeadlineFile::DeadlineFile(const std::string& path, Access access)
    : mapping_{map(path, access)}, word_{reinterpret_cast<std::uint64_t*>(mapping_.data())} {}

}  // namespace shoal::host
