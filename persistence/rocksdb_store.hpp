#pragma once
// The store of a node: one RocksDB in one folder. No RocksDB type is seen here.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "persistence/store.hpp"

namespace holdfast {

struct rocksdb_options {
  std::string path;
  std::uint64_t memory_limit_bytes =
    1ULL << 30;  ///< of the process; caches and buffers take a quarter of it at most
  bool create_if_missing = true;
  bool read_only = false;  ///< for looking at a stopped folder; the folder is not changed
  /// A line that RocksDB warns with; from its threads, with its locks held. Null: nobody is told.
  std::function<void(std::string_view)> warn = {};
};

/// Opens the one RocksDB of a node. A folder belongs to one process at a time, or to any number of read-only ones. The
/// first failed write is final: every later one gives the same error without trying. Errors: `not_found` (nothing there
/// and not to be made), `conflict` (used by another process), `corrupt` (damaged, or of a newer format), `io_failure`.
result<std::unique_ptr<store>> open_rocksdb(const rocksdb_options& options);

}  // namespace holdfast
