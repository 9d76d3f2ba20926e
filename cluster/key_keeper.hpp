#pragma once
// The API keys of a running node: who a token belongs to, and reading them again when their file
// changed or somebody asks for it.

#include <atomic>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>

#include "runtime/host/config_auth.hpp"
#include "runtime/host/key_ring.hpp"

namespace holdfast {

/// Thread-safe. A ring is replaced whole; readers keep the one that they have.
class key_keeper {
public:
  explicit key_keeper(auth_config from);

  bool is_on() const noexcept { return from_.on; }
  result<std::shared_ptr<const principal>> find(std::string_view token, time_us now) const {
    return ring()->find(token, now);
  }
  bool holds(const principal& who, time_us now) const { return ring()->holds(who, now); }
  std::size_t size() const { return ring()->size(); }

  /// Adds a key that is in no file and stays through every reload. Gives its token.
  result<std::string> add_own(std::string name, key_role role);

  /// Reads the keys again. What does not read leaves the old ones in force; the log says why.
  void reload();
  /// The same when the file is another one than at the last look. Cheap: one `stat`.
  void look();

  std::uint64_t reloads() const noexcept { return reloads_; }
  std::uint64_t reloads_failed() const noexcept { return reloads_failed_; }

private:
  /// Tells one state of a file from another.
  struct stamp {
    std::int64_t modified_ns = 0;
    std::uint64_t size = 0;
    std::uint64_t inode = 0;
    bool operator==(const stamp&) const = default;
  };
  stamp stamp_of_file() const;
  std::shared_ptr<const key_ring> ring() const;
  void put(std::vector<api_key> keys);

  const auth_config from_;
  mutable std::mutex mutex_;  // of ring_
  std::shared_ptr<const key_ring> ring_;
  std::mutex reading_;  // of these: one reload at a time
  std::vector<api_key> own_;
  stamp seen_;
  std::atomic<std::uint64_t> reloads_{0};
  std::atomic<std::uint64_t> reloads_failed_{0};
};

}  // namespace holdfast
