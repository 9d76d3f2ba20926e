#include "persistence/rocksdb_failure.hpp"

namespace holdfast {

error to_error(const rocksdb::Status& done, const std::string& doing) {
  return {done.IsCorruption() ? errc::corrupt : errc::io_failure, doing + ": " + done.ToString()};
}

std::optional<error> rocksdb_failure::first() const {
  if (!failed_.load(std::memory_order_acquire))
    return std::nullopt;
  const std::lock_guard lock{mutex_};
  return first_;
}

error rocksdb_failure::note(error now) {
  const std::lock_guard lock{mutex_};
  if (!first_)
    first_ = std::move(now);
  failed_.store(true, std::memory_order_release);
  return *first_;
}

void rocksdb_failure::OnBackgroundError(rocksdb::BackgroundErrorReason, rocksdb::Status* why) {
  static_cast<void>(note(to_error(*why, "write")));
}

}  // namespace holdfast
