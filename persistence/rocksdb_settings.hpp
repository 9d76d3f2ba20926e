#pragma once
// How RocksDB is set up. Measurements: facts/storage.md; reasons in short: persistence/README.md.

#include <rocksdb/db.h>

#include <string>
#include <vector>

#include "persistence/rocksdb_store.hpp"

namespace holdfast {

/// The name of a family on disk. RocksDB insists on a family `default`: ours is `meta`.
std::string column_family_name(family f);

struct rocksdb_settings {
  rocksdb::DBOptions db;
  std::vector<rocksdb::ColumnFamilyDescriptor> families;  ///< in the order of their numbers
};
rocksdb_settings settings_for(const rocksdb_options& options);

}  // namespace holdfast
