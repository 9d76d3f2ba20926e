#include "persistence/rocksdb_settings.hpp"

#include <rocksdb/cache.h>
#include <rocksdb/convenience.h>
#include <rocksdb/env.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/table.h>
#include <rocksdb/write_buffer_manager.h>

#include <algorithm>

#include "persistence/rocksdb_logger.hpp"

namespace holdfast {

namespace {

constexpr std::uint64_t kib = 1ULL << 10;
constexpr std::uint64_t mib = 1ULL << 20;

/// The parts of the process's memory. Memtables are charged to the cache: its size bounds both.
struct budget {
  explicit budget(std::uint64_t limit)
    : memtables(std::clamp(limit / 32 * 3, 16 * mib, 1'024 * mib)),
      cache(std::clamp(limit / 32 * 5, 24 * mib, 2'048 * mib)),
      log(std::clamp(limit / 8, 64 * mib, 256 * mib)) {}

  std::uint64_t memtables;  // 96 MiB of 1 GiB
  std::uint64_t cache;      // 160 MiB of 1 GiB
  std::uint64_t log;  // 128 MiB of 1 GiB; it is read again at 133 MB/s when the process was killed
};

/// Written in almost every commit: larger memtables, in which short-lived keys die before they reach a file.
bool is_busy(family f) noexcept {
  return f == family::snapshot || f == family::journal || f == family::mailbox ||
         f == family::message || f == family::run || f == family::index ||
         f == family::idempotency || f == family::log;
}

/// May hold large values, which compactions would otherwise copy again and again.
bool holds_payloads(family f) noexcept {
  return f == family::journal || f == family::mailbox || f == family::message ||
         f == family::memory || f == family::outbox || f == family::event_log ||
         f == family::dead_letter;
}

/// Read by whole key. The others are only scanned, where a filter of whole keys has nothing to say.
bool is_read_by_key(family f) noexcept {
  return f != family::stream && f != family::timer && f != family::index && f != family::audit &&
         f != family::log;
}

rocksdb::CompressionType compression() {
  const auto known = rocksdb::GetSupportedCompressions();
  const bool lz4 = std::find(known.begin(), known.end(), rocksdb::kLZ4Compression) != known.end();
  return lz4 ? rocksdb::kLZ4Compression : rocksdb::kNoCompression;
}

rocksdb::DBOptions database_settings(const rocksdb_options& options, const budget& memory) {
  rocksdb::DBOptions db;
  db.create_if_missing = options.create_if_missing;
  db.create_missing_column_families = true;

  // What was synced is not lost in silence (README): damage is refused, and so is a log that is missing or was cut.
  db.wal_recovery_mode = rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;
  db.track_and_verify_wals_in_manifest = true;
  db.max_bgerror_resume_count = 0;  // an error is final: the process ends, recovery decides

  db.max_total_wal_size = memory.log;
  db.max_open_files = 512;
  db.max_background_jobs = 2;
  db.max_file_opening_threads = 1;
  db.bytes_per_sync = 1 * mib;  // no long stall of our own fsync behind the pages of a compaction

  // One writer: nothing to coordinate.
  db.allow_concurrent_memtable_write = false;
  db.enable_write_thread_adaptive_yield = false;
  db.avoid_unnecessary_blocking_io = true;

  db.stats_dump_period_sec = 0;
  db.stats_persist_period_sec = 0;
  db.skip_stats_update_on_db_open = true;
  db.info_log_level = rocksdb::WARN_LEVEL;
  db.info_log = std::make_shared<rocksdb_logger>(options.warn);  // none in the folder
  return db;
}

rocksdb::ColumnFamilyOptions family_settings(family f, const budget& memory,
                                             rocksdb::BlockBasedTableOptions tables) {
  rocksdb::ColumnFamilyOptions family;
  family.write_buffer_size = is_busy(f) ? std::clamp(memory.memtables / 4, 2 * mib, 32 * mib)
                                        : std::clamp(memory.memtables / 12, 1 * mib, 8 * mib);
  family.max_write_buffer_number = is_busy(f) ? 3 : 2;
  family.arena_block_size = 64 * kib;  // most families of most nodes hold little
  family.target_file_size_base = 32 * mib;
  family.level_compaction_dynamic_level_bytes = true;
  family.compression = compression();
  if (holds_payloads(f)) {
    family.enable_blob_files = true;
    family.min_blob_size = 4 * kib;
    family.blob_file_size = 64 * mib;
    family.blob_compression_type = family.compression;
    family.enable_blob_garbage_collection = true;
  }
  if (!is_read_by_key(f))
    tables.filter_policy.reset();
  family.table_factory.reset(rocksdb::NewBlockBasedTableFactory(tables));
  return family;
}

}  // namespace

std::string column_family_name(family f) {
  return f == family::meta ? rocksdb::kDefaultColumnFamilyName : std::string{to_string(f)};
}

rocksdb_settings settings_for(const rocksdb_options& options) {
  const budget memory{options.memory_limit_bytes};
  rocksdb_settings out;
  out.db = database_settings(options, memory);
  rocksdb::BlockBasedTableOptions tables;
  tables.block_size = 8 * kib;
  tables.block_cache = rocksdb::NewLRUCache(memory.cache);
  tables.cache_index_and_filter_blocks = true;
  tables.pin_l0_filter_and_index_blocks_in_cache = true;
  tables.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  out.db.write_buffer_manager =
    std::make_shared<rocksdb::WriteBufferManager>(memory.memtables, tables.block_cache);
  for (std::size_t i = 0; i < family_count; ++i) {
    const auto f = static_cast<family>(i);
    out.families.emplace_back(column_family_name(f), family_settings(f, memory, tables));
  }
  return out;
}

}  // namespace holdfast
