#pragma once
// A store without a disk, for tests and simulation. It tells durable from un-synced writes, can be crashed, and can
// refuse a write.

#include <array>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "persistence/store.hpp"

namespace holdfast {

/// Thread-safe. Cursors and snapshots are consistent views of the moment they were made; while one lives, the first
/// write to a family that it sees copies that family.
class memory_store final : public store {
public:
  memory_store();

  result<std::optional<std::string>> get(family in, std::string_view key) const override;
  std::unique_ptr<cursor> scan(family in, std::string_view lower, std::string_view upper,
                               bool descending = false) const override;
  /// Seen by reads at once. Aborts when `single_erase` meets a key that was put more than once since its last erase (in
  /// RocksDB the older value could come back), or that `erase` has erased (there, the next flush fails for good).
  status write(const write_set& writes, bool durable) override;
  std::unique_ptr<reader> snapshot() const override;
  result<std::unique_ptr<group_import>> import_group(group_id group) override;

  /// What a power cut leaves: the state after the last durable write.
  void crash();
  /// The next write or install changes nothing and answers with this code.
  void fail_next_write(errc code);

  std::size_t size(family in) const;     ///< keys
  std::uint64_t durable_writes() const;  ///< that answered ok

  struct cell {
    std::string value;
    std::uint64_t puts = 0;  ///< since the key's last erase
  };
  using table = std::map<std::string, cell, std::less<>>;
  using tables = std::array<std::shared_ptr<table>, family_count>;

private:
  class importing;
  struct undo {
    family in;
    std::string key;
    std::optional<cell> before;
    bool was_erased;
  };
  void apply(const write_op& op);

  std::shared_ptr<std::mutex> mutex_;  // shared with the views, which let go of tables under it
  tables tables_;
  std::array<std::set<std::string, std::less<>>, family_count>
    erased_;                    // by `erase`, and not put since
  std::vector<undo> unsynced_;  // how to go back to the last durable write, newest last
  errc fail_next_ = errc::ok;
  std::uint64_t durable_writes_ = 0;
};

}  // namespace holdfast
