#include "persistence/queue_room.hpp"

namespace holdfast {

status queue_room::take(std::size_t bytes, bool is_new_event) {
  const std::size_t times = is_new_event ? 1 : 2;
  if (records_ >= times * records_max_ || (bytes_ != 0 && bytes_ + bytes > times * bytes_max_))
    return error{errc::overloaded, "the commit queue is full"};
  ++records_;
  bytes_ += bytes;
  return ok_status();
}

void queue_room::give_back(std::size_t records, std::size_t bytes) noexcept {
  HOLDFAST_ASSERT(records <= records_ && bytes <= bytes_, "more room given back than was taken");
  records_ -= records;
  bytes_ -= bytes;
}

}  // namespace holdfast
