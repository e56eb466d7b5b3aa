// Each file appears whole, by a rename; the folder stays the same for those who know it.
#include "controlplane/shoald/vmm_tls.h"

#include <sys/stat.h>

#include <cerrno>
#include <utility>

#include "controlplane/content/partial_file.h"
#include "controlplane/content/partial_folder.h"
#include "controlplane/pki/openssl.h"
#include "devices/host/os_error.h"

namespace shoal::daemon {
namespace {

void copy(const std::string& from, const std::string& to) {
    content::PartialFile file{to, content::Keeping::passing};
    file.append(pki::read_file(from));
    file.keep();
}

}  // namespace

VmmTls::VmmTls(std::string folder) : folder_{std::move(folder)} {
    if (::mkdir(folder_.c_str(), 0700) < 0 && errno != EEXIST) {
        host::throw_os_error("cannot create " + folder_);
    }
    content::prepare_folder(folder_);
}

void VmmTls::use(const store::TlsFiles& from) const {
    const store::TlsFiles to = files();
    copy(from.authority, to.authority);
    copy(from.certificate, to.certificate);
    copy(from.key, to.key);
}

store::TlsFiles VmmTls::files() const {
    return {folder_ + "/ca.pem", folder_ + "/host.pem", folder_ + "/host.key"};
}

}  // namespace shoal::daemon
