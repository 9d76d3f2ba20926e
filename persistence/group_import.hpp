#pragma once
// Taking in the whole state of a group, chunk by chunk (group_export.hpp), and putting it in the place of what is there.
// Until `install` nothing that can be read changes.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "persistence/group_export.hpp"
#include "persistence/store.hpp"

namespace holdfast {

/// One attempt to take in one group. What was staged goes with it, or at the next open; a restarted process begins a new
/// one. `add` may be called on a thread of its own, beside the thread that writes, and may take long; after it `install`
/// is for the thread that writes.
class group_import {
public:
  virtual ~group_import() = default;
  group_import(const group_import&) = delete;
  group_import& operator=(const group_import&) = delete;

  /// Takes in the next chunk; one that was taken already changes nothing. With the last one everything staged becomes
  /// durable, and memtables are written out, so that `install` is quick. Errors, after which the chunk at `position` may
  /// be asked for again: `corrupt` (damaged), `conflict` (of another group, not the next one, or not of the same state
  /// as those before). Final: `io_failure`.
  status add(std::string_view chunk);
  /// Where the next chunk starts: what to ask `export_chunk` for, also after the connection was lost.
  const std::string& position() const noexcept { return position_; }
  bool complete() const noexcept { return complete_; }
  /// Of what was taken in; when complete, the `state_hash` of the source.
  const digest128& digest() const noexcept { return at_.digest; }
  group_id group() const noexcept { return group_; }

  /// Replaces the group's state and its log by what was taken in, and applies `extra`: all or nothing, whenever the
  /// process is killed or the power fails. Durable when it returns ok, with everything written before. `extra` holds
  /// puts and erases of the group's keys in the log (after it was emptied) and in meta (the log's own). Nothing of the
  /// group may be written meanwhile. Only when complete, once. Errors are final, as those of `store::write`.
  status install(const write_set& extra);

protected:
  explicit group_import(group_id group);

  /// What `extra` leaves: values, or (in meta only) nothing for a key that goes. In order of family and key.
  using last_writes = std::map<std::pair<family, std::string>, std::optional<std::string>>;

private:
  /// The next row in order.
  virtual status stage(const chunk_row& row) = 0;
  /// There are no more rows.
  virtual status seal() = 0;
  virtual status replace(const last_writes& extra) = 0;

  status check(const chunk_view& chunk, export_position& at) const;

  group_id group_;
  std::vector<family_range> ranges_;
  export_position at_;
  std::string position_;
  bool complete_ = false;
  bool installed_ = false;
  std::optional<error> failed_;
};

}  // namespace holdfast
