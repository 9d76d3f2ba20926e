#pragma once
// Taking in a group's state, in RocksDB. What arrives is staged as table files in `incoming/` of the data folder. Each
// holds the keys of its range and a range tombstone over all of that range, so that ingesting the files, which is one
// record of the manifest for all families, is at once the end of the old state and the beginning of the new one.
// (CockroachDB applies its Raft snapshots this way.) No step in between can be met after a crash.

#include <rocksdb/db.h>

#include <array>
#include <memory>
#include <string>

#include "persistence/group_import.hpp"
#include "persistence/rocksdb_failure.hpp"

namespace holdfast {

using rocksdb_handles = std::array<rocksdb::ColumnFamilyHandle*, family_count>;

/// What it is given must outlive it. `failure` is the store's; used within `replace`.
result<std::unique_ptr<group_import>> begin_rocksdb_import(rocksdb::DB& db,
                                                           const rocksdb_handles& families,
                                                           rocksdb_failure& failure,
                                                           group_id group);

/// Before a folder is opened: what a process that ended had staged goes. Errors: `io_failure`.
status remove_unfinished_imports(const std::string& path);

}  // namespace holdfast
