#pragma once
// Ordered bytes with one atomic, durable write. What must be true together is written together.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "schemas/error.hpp"
#include "schemas/ids.hpp"

namespace holdfast {

/// The column families. A number, once given, is never reused; the name is the one on disk.
enum class family : std::uint8_t {
  meta =
    0,  ///< of the node and of each group: format, partitions, term, applied index, partition_state
  snapshot = 1,     ///< group ‖ agent → agent_state
  journal = 2,      ///< group ‖ agent ‖ first seq → facts of one record
  mailbox = 3,      ///< group ‖ agent ‖ number → mailbox_entry
  message = 4,      ///< group ‖ agent ‖ number → conversation message
  memory = 5,       ///< group ‖ agent ‖ seq → memory of a native agent
  stream = 6,       ///< group ‖ agent ‖ seq → text_streamed, text_emitted
  timer = 7,        ///< group ‖ due ‖ agent ‖ timer id → nothing
  idempotency = 8,  ///< group ‖ scope → idempotency_recorded
  outbox = 9,       ///< group ‖ target group ‖ sequence → outbox_message
  run = 10,         ///< group ‖ run → run_summary
  index = 11,  ///< group ‖ kind ‖ … : ready agents, open effects, reconcile, runs of an agent
  event_log = 12,    ///< group ‖ event → event_routed
  dead_letter = 13,  ///< group ‖ event → dead_lettered
  definitions = 14,  ///< group 0 ‖ kind ‖ name ‖ version → definition_applied
  audit = 15,        ///< group ‖ time ‖ number → audit_entry
  log = 16,          ///< group ‖ index → entry; used by the replicated log
};
inline constexpr std::size_t family_count = 17;
std::string_view to_string(family f) noexcept;

struct write_op {
  enum class kind : std::uint8_t { put, erase, single_erase };
  family in = family::meta;
  kind what = kind::put;
  std::string key;
  std::string value;
};

/// Applied all or nothing, in order.
class write_set {
public:
  void put(family in, std::string key, std::string value);
  /// For keys that may be written more than once.
  void erase(family in, std::string key);
  /// Only for keys that are put exactly once in their life (RocksDB's SingleDelete; facts/storage.md §2), and never for
  /// one that `erase` has erased: RocksDB would refuse every later flush.
  void single_erase(family in, std::string key);
  const std::vector<write_op>& ops() const noexcept { return ops_; }
  bool empty() const noexcept { return ops_.empty(); }
  void clear() noexcept {
    ops_.clear();
    bytes_ = 0;
  }
  std::size_t bytes() const noexcept { return bytes_; }

private:
  std::vector<write_op> ops_;
  std::size_t bytes_ = 0;
};

/// Walks keys of one family in order. Views are valid until the next move. Not thread-safe; do not outlive the store.
class cursor {
public:
  virtual ~cursor() = default;
  virtual bool valid() const = 0;  ///< false at the end, and on an error
  virtual std::string_view key() const = 0;
  virtual std::string_view value() const = 0;
  virtual void next() = 0;
  virtual status state() const = 0;  ///< not ok: the walk ended because of an error
};

/// Reads. Thread-safe. Errors: `io_failure`, `corrupt`; absence is not an error.
class reader {
public:
  virtual ~reader() = default;
  virtual result<std::optional<std::string>> get(family in, std::string_view key) const = 0;
  /// Keys in [lower, upper), ascending, or descending from the last one below upper.
  virtual std::unique_ptr<cursor> scan(family in, std::string_view lower, std::string_view upper,
                                       bool descending = false) const = 0;
};

class group_import;

/// The write path of one node. `write` is called by one thread at a time.
class store : public reader {
public:
  /// `durable`: fsynced when it returns ok. An error is final: the caller must end the process (DESIGN §5).
  virtual status write(const write_set& writes, bool durable) = 0;
  /// A consistent view of now, for reading much once: its scans leave caches as they are. Holds
  /// resources until destroyed.
  virtual std::unique_ptr<reader> snapshot() const = 0;
  /// Nothing was written for a while: a good moment to move what only the log and memory hold to its
  /// final place, so that memory is free and the next start has little to read again. Called by the
  /// thread that writes; does not wait. Changes nothing that can be read.
  virtual void settle() {}
  /// Begins to take in the whole state of a group (group_import.hpp), which must not outlive the
  /// store. Any thread. Errors: `io_failure`; `not_available`: a store that cannot.
  virtual result<std::unique_ptr<group_import>> import_group(group_id group);
};

}  // namespace holdfast
