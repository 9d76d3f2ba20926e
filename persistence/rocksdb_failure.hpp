#pragma once
// What ends a store: the first write that failed, of ours or of RocksDB's own threads.

#include <rocksdb/listener.h>

#include <atomic>
#include <mutex>
#include <optional>
#include <string>

#include "schemas/error.hpp"

namespace holdfast {

/// Errors: `corrupt`, else `io_failure`.
error to_error(const rocksdb::Status& done, const std::string& doing);

/// The first failed write, which every later one answers with. RocksDB tells it of the failures of its own threads, and
/// is kept from recovering beside us when there is room again: the process ends, and its next start decides. Any thread.
class rocksdb_failure final : public rocksdb::EventListener {
public:
  /// Of the first failure; none: nothing has failed.
  std::optional<error> first() const;
  /// Gives the first failure, which is `now` when there was none.
  error note(error now);

  const char* Name() const override { return "holdfast"; }
  void OnBackgroundError(rocksdb::BackgroundErrorReason reason, rocksdb::Status* why) override;
  void OnErrorRecoveryBegin(rocksdb::BackgroundErrorReason, rocksdb::Status,
                            bool* recovers) override {
    *recovers = false;
  }

private:
  std::atomic<bool> failed_{false};  // so that a write takes no lock
  mutable std::mutex mutex_;
  std::optional<error> first_;
};

}  // namespace holdfast
