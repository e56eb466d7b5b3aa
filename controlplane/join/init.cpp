// Needs nobody: a shoald starts with what this makes.
#include "controlplane/join/init.h"

#include <cstdio>

#include "controlplane/join/host_files.h"
#include "controlplane/pki/authority.h"

namespace shoal::join {

void init(const cli::InitOptions& options) {
    check_files(options);
    const pki::Authority authority;
    const pki::Key key = pki::make_key();
    const std::string certificate =
        authority.sign(pki::make_request(key), {options.host, options.address});
    write_file(options, "ca.key", authority.key(), Secrecy::secret);
    write_file(options, "ca.pem", authority.certificate(), Secrecy::open);
    write_file(options, "host.key", pki::to_pem(key), Secrecy::secret);
    write_file(options, "host.pem", certificate, Secrecy::open);
    std::printf(
        "this host is the first of a cluster: start\n  %s --peer-ca-key %s/ca.key --etcd "
        "URL\nand let others join with what `shoal token` prints\n",
        shoald_words(options).c_str(), options.folder.c_str());
}

}  // namespace shoal::join
