#pragma once
// Where RocksDB's own warnings go.

#include <rocksdb/env.h>

#include <functional>
#include <string_view>

namespace holdfast {

/// Passes on what is a warning or worse, a line at a time. RocksDB's own log is a file of the folder: on a full disk its
/// second line aborts the process (an assertion in 7.8, which Debian's build has on). Any thread.
class rocksdb_logger final : public rocksdb::Logger {
public:
  using sink = std::function<void(std::string_view line)>;

  /// `warn` is called from RocksDB's threads, and with its locks held: it must not call back. Null: nothing is said.
  explicit rocksdb_logger(sink warn)
    : rocksdb::Logger(rocksdb::WARN_LEVEL), warn_(std::move(warn)) {}

  void Logv(const char* format, va_list values) override {
    Logv(rocksdb::WARN_LEVEL, format, values);
  }
  void Logv(rocksdb::InfoLogLevel level, const char* format, va_list values) override;
  void LogHeader(const char*, va_list) override {}

private:
  const sink warn_;
};

}  // namespace holdfast
