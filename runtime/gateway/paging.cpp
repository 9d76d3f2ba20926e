#include "runtime/gateway/paging.hpp"

#include "runtime/gateway/base64.hpp"

namespace holdfast {

result<page_request> page_of(const query_reader& query, cursor_kind kind) {
  page_request out;
  const auto limit = query.number("limit");
  if (!limit)
    return limit.error();
  if (*limit) {
    if (**limit == 0 || **limit > page_limit_max)
      return error{errc::malformed, "`limit` is 1 to " + std::to_string(page_limit_max)};
    out.limit = static_cast<std::size_t>(**limit);
  }
  auto given = query.get("cursor");
  if (!given)
    given = query.get("next");
  if (!given || given->empty())
    return out;
  auto position = from_base64url(*given);
  if (!position || position->size() < 2 || position->front() != static_cast<char>(kind))
    return error{errc::malformed,
                 "`cursor` is not one that this list gave; begin again without it"};
  out.after = position->substr(1);
  return out;
}

std::string make_cursor(cursor_kind kind, std::string_view position) {
  std::string text{static_cast<char>(kind)};
  text += position;
  return to_base64url(text);
}

std::string position_of(std::uint64_t number) { return std::to_string(number); }

std::optional<std::uint64_t> number_at(std::string_view position) { return number_value(position); }

merged_scan::merged_scan(const reader& from, family in, const std::vector<keys::range>& ranges,
                         bool descending)
  : descending_(descending) {
  cursors_.reserve(ranges.size());
  for (const auto& range : ranges)
    cursors_.push_back(from.scan(in, range.lower, range.upper, descending));
  choose();
}

void merged_scan::next() {
  current_->next();
  choose();
}

void merged_scan::choose() {
  constexpr std::size_t group_bytes = 2;
  current_ = nullptr;
  for (const auto& one : cursors_) {
    if (!one->valid())
      continue;
    if (current_ == nullptr) {
      current_ = one.get();
      continue;
    }
    const int order = one->key().substr(group_bytes).compare(current_->key().substr(group_bytes));
    if (descending_ ? order > 0 : order < 0)
      current_ = one.get();
  }
}

status merged_scan::state() const {
  for (const auto& one : cursors_)
    if (auto ended = one->state(); !ended)
      return ended;
  return ok_status();
}

}  // namespace holdfast
