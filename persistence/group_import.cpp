#include "persistence/group_import.hpp"

#include <algorithm>
#include <tuple>

#include "persistence/kill_point.hpp"

namespace holdfast {

namespace {

bool is_behind(family in, std::string_view key, const export_position& at) {
  return !at.started || std::tuple(in, key) > std::tuple(at.in, std::string_view(at.key));
}

}  // namespace

group_import::group_import(group_id group) : group_(group), ranges_(state_ranges(group)) {}

status group_import::check(const chunk_view& chunk, export_position& at) const {
  for (const auto& row : chunk.rows) {
    const bool is_state =
      std::any_of(ranges_.begin(), ranges_.end(), [&](const family_range& range) {
        return range.in == row.in && range.keys.lower <= row.key && row.key < range.keys.upper;
      });
    if (!is_state)
      return error{errc::conflict, "a chunk holds a key that is no state of group " +
                                     std::to_string(group_) + ", in " +
                                     std::string(to_string(row.in))};
    if (!is_behind(row.in, row.key, at))
      return error{errc::conflict, "a chunk holds keys out of order"};
    move_behind(at, row.in, row.key, row.encoded);
  }
  return ok_status();
}

status group_import::add(std::string_view bytes) {
  HOLDFAST_ASSERT(!installed_, "a chunk for a group that is installed");
  if (failed_)
    return *failed_;
  auto chunk = read_chunk(bytes);
  if (!chunk)
    return chunk.error();
  if (chunk->group != group_)
    return error{errc::conflict, "a chunk of group " + std::to_string(chunk->group) +
                                   " for group " + std::to_string(group_)};
  if (complete_ || chunk->from != position_) {
    const bool taken =
      complete_ ||
      (!chunk->rows.empty() && !is_behind(chunk->rows.back().in, chunk->rows.back().key, at_));
    if (taken)
      return ok_status();
    return error{errc::conflict, "a chunk that is not the next one of this state"};
  }
  auto at = at_;
  if (auto checked = check(*chunk, at); !checked)
    return checked;
  kill_point("import.chunk");
  for (const auto& row : chunk->rows)
    if (auto staged = stage(row); !staged)
      return *(failed_ = staged.error());
  if (chunk->last)
    if (auto sealed = seal(); !sealed)
      return *(failed_ = sealed.error());
  at_ = std::move(at);
  position_ = encode(at_);
  complete_ = chunk->last;
  return ok_status();
}

status group_import::install(const write_set& extra) {
  HOLDFAST_ASSERT(complete_ && !installed_, "an install of what is not complete, or again");
  const auto own = keys::group(group_);
  last_writes writes;
  for (const auto& op : extra.ops()) {
    HOLDFAST_ASSERT(own.lower <= op.key && op.key < own.upper,
                    "an install that writes a key of another group");
    const bool is_put = op.what == write_op::kind::put;
    if (op.in == family::log) {
      if (is_put)
        writes[{op.in, op.key}] = op.value;
      else
        writes.erase({op.in, op.key});
      continue;
    }
    HOLDFAST_ASSERT(op.in == family::meta && op.what != write_op::kind::single_erase,
                    "an install that writes more than the log and its books");
    for (const auto& range : ranges_)
      HOLDFAST_ASSERT(
        range.in != family::meta || op.key < range.keys.lower || op.key >= range.keys.upper,
        "an install that writes state of the group");
    writes[{op.in, op.key}] = is_put ? std::optional(op.value) : std::nullopt;
  }
  kill_point("install.before");
  installed_ = true;
  auto replaced = replace(writes);
  if (replaced)
    kill_point("install.after");
  return replaced;
}

}  // namespace holdfast
