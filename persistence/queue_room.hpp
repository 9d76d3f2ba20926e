#pragma once
// How much a log takes before it says that it is overloaded (DESIGN §3).

#include <cstddef>

#include "schemas/error.hpp"

namespace holdfast {

/// Counts the records that are proposed and whose outcome is not known yet, and their bytes in memory (record_size.hpp).
/// New events are refused beyond the limits, everything else beyond twice those. A single record is never too large.
/// Not thread-safe.
class queue_room {
public:
  queue_room(std::size_t records_max, std::size_t bytes_max) noexcept
    : records_max_(records_max), bytes_max_(bytes_max) {}

  /// For one record. Errors: `overloaded`; nothing was taken.
  status take(std::size_t bytes, bool is_new_event);
  /// What was taken for that many records.
  void give_back(std::size_t records, std::size_t bytes) noexcept;

private:
  const std::size_t records_max_;
  const std::size_t bytes_max_;
  std::size_t records_ = 0;
  std::size_t bytes_ = 0;
};

}  // namespace holdfast
