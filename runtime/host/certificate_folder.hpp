#pragma once
// `ca.pem ca.key n1.pem n1.key …` in a folder. Keys are for their owner alone (0600).

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "runtime/host/certificates.hpp"

namespace holdfast {

struct certificates_made {
  bool authority = false;                    ///< made now; else the one that was there signed
  std::vector<std::filesystem::path> files;  ///< written, in this order
};

/// One certificate per node, of the folder's authority, which is made when there is none, and never replaced. `renew`:
/// those of nodes are replaced. Errors: `conflict` (something is there already, or half of an authority; nothing was
/// written), `io_failure`, and those of `make_certificate`.
result<certificates_made> make_certificates(const std::filesystem::path& folder,
                                            const std::vector<node_certificate>& nodes, bool renew,
                                            time_us now);

}  // namespace holdfast
