#pragma once
// What a power cut leaves of the last write. RocksDB's write-ahead log ends in one of three ways: whole, cut short, or
// with pages missing from the middle of the last write, because a disk persists the pages of an un-synced write in any
// order. RocksDB tolerates the first two and refuses the third, as it must: it cannot tell it from damage to what was
// synced. We can: there is one writer, which syncs every write before it begins the next.

#include <string>

#include "schemas/error.hpp"

namespace holdfast {

/// True when the newest write-ahead log of this RocksDB folder is damaged, and all of the damage is in its last write
/// and is what missing pages look like: nothing intact begins after it, and a sector of it reads as zeroes (the test
/// that etcd makes). False: there is damage elsewhere, or none. Reads only. Errors: `io_failure`.
result<bool> only_last_write_is_torn(const std::string& path);

}  // namespace holdfast
