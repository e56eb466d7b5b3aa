// What VMMs show one another when a guest moves: copies of this host's certificate, of its key and
// of the authority's certificate, in a folder where nothing else is.
//
// A VMM opens them by their names long after it was started, and may open no other files
// (vmm/jail): the files themselves are replaced when they are renewed, and beside them may be the
// authority's key.
#pragma once

#include <string>

#include "controlplane/store/tls_files.h"

namespace shoal::daemon {

class VmmTls {
public:
    // Created if it is missing, for this user alone. Throws std::system_error.
    explicit VmmTls(std::string folder);

    // Copies them, over those before. Throws std::runtime_error.
    void use(const store::TlsFiles& files) const;
    [[nodiscard]] store::TlsFiles files() const;

private:
    std::string folder_;
};

}  // namespace shoal::daemon
