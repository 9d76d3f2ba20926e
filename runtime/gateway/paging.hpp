#pragma once
// Lists in pages: `limit`, opaque cursors, and one ordered walk over the same family of all
// partitions. Pure but for reading.

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "persistence/keys.hpp"
#include "persistence/store.hpp"
#include "runtime/gateway/request_body.hpp"

namespace holdfast {

/// What a list's cursor counts in. A cursor of one list is refused by another.
enum class cursor_kind : char { agent = 'a', id = 'i', number = 'n', effect = 'e', audit = 'u' };

struct page_request {
  std::size_t limit = 50;
  std::string after;  ///< decoded cursor; empty: from the beginning
};

inline constexpr std::size_t page_limit_max = 500;

/// Reads `limit` and `cursor`. Errors: `malformed`.
result<page_request> page_of(const query_reader& query, cursor_kind kind);
std::string make_cursor(cursor_kind kind, std::string_view position);

/// A number as a cursor's position.
std::string position_of(std::uint64_t number);
std::optional<std::uint64_t> number_at(std::string_view position);

/// Walks over one range of each partition at once, in the order of what follows the group in the
/// keys.
class merged_scan {
public:
  merged_scan(const reader& from, family in, const std::vector<keys::range>& ranges,
              bool descending);
  bool valid() const noexcept { return current_ != nullptr; }
  std::string_view key() const { return current_->key(); }
  std::string_view value() const { return current_->value(); }
  void next();
  /// Not ok: a walk ended because of an error.
  status state() const;

private:
  void choose();
  std::vector<std::unique_ptr<cursor>> cursors_;
  cursor* current_ = nullptr;
  bool descending_;
};

/// The ranges of all partitions (groups 1 … partitions).
template <class F>
std::vector<keys::range> of_all_partitions(std::uint16_t partitions, F&& range_of) {
  std::vector<keys::range> out;
  out.reserve(partitions);
  for (group_id group = 1; group <= partitions; ++group)
    out.push_back(range_of(group));
  return out;
}

}  // namespace holdfast
