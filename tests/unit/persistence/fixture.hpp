#pragma once
// What the tests of stores and logs share: folders, stores by name, and a state machine, a listener and a store that
// remember what they saw.

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "persistence/commit_log.hpp"
#include "persistence/keys.hpp"
#include "persistence/memory_store.hpp"
#include "persistence/rocksdb_store.hpp"

namespace holdfast::testing {

using record_ptr = std::shared_ptr<const turn_record>;
using rows = std::vector<std::pair<std::string, std::string>>;

inline constexpr std::chrono::seconds patience{30};  // for what must happen, on a slow machine

/// A folder of its own, gone at the end.
class folder {
public:
  folder() {
    auto pattern = (std::filesystem::temp_directory_path() / "holdfast-XXXXXX").string();
    REQUIRE(::mkdtemp(pattern.data()) != nullptr);
    path_ = pattern;
  }
  ~folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  folder(const folder&) = delete;
  folder& operator=(const folder&) = delete;
  const std::filesystem::path& path() const { return path_; }

private:
  std::filesystem::path path_;
};

inline std::unique_ptr<store> open_folder(const std::string& path, bool read_only = false) {
  auto opened = open_rocksdb({path, 64ULL << 20, true, read_only});
  INFO((opened ? std::string{} : opened.error().context));
  REQUIRE(opened);
  return std::move(*opened);
}

/// A store that can be left and entered again, as by a restarted process.
struct in_memory {
  store& db() { return store_; }
  void restart() { store_.crash(); }

private:
  memory_store store_;
};
struct in_rocksdb {
  in_rocksdb() { restart(); }
  store& db() { return *store_; }
  void restart() {
    store_.reset();
    store_ = open_folder((folder_.path() / "data").string());
  }

private:
  folder folder_;
  std::unique_ptr<store> store_;
};

inline rows walk(const reader& from, family in, std::string_view lower, std::string_view upper,
                 bool descending = false) {
  rows out;
  const auto at = from.scan(in, lower, upper, descending);
  for (; at->valid(); at->next())
    out.emplace_back(at->key(), at->value());
  CHECK(at->state());
  return out;
}

inline std::optional<std::string> read(const reader& from, family in, std::string_view key) {
  auto got = from.get(in, key);
  REQUIRE(got);
  return *got;
}

inline void put(store& into, std::string key, std::string value, bool durable = true) {
  write_set writes;
  writes.put(family::journal, std::move(key), std::move(value));
  REQUIRE(into.write(writes, durable));
}

/// A record that is told apart by its agent and number; a new event, which may be refused for lack of room.
inline record_ptr event_record(std::string key, std::uint64_t number, std::size_t data_bytes = 0) {
  turn_record made;
  made.agent = {"order", std::move(key)};
  made.first_seq = number;
  event_received received;
  received.event.data = std::string(data_bytes, 'd');
  made.facts.push_back(std::move(received));
  return std::make_shared<const turn_record>(std::move(made));
}
/// The same as an outcome, for which there is reserved room.
inline record_ptr outcome_record(std::string key, std::uint64_t number) {
  turn_record made;
  made.agent = {"order", std::move(key)};
  made.first_seq = number;
  made.facts.push_back(tool_completed{});
  return std::make_shared<const turn_record>(std::move(made));
}

inline std::string key_of(group_id group, const turn_record& record) {
  return keys::numbered(group, record.agent, record.first_seq);
}

/// Keeps each record's place in the log, `index.offset`, in the journal.
struct placing_machine final : state_machine {
  void apply(const reader& view, group_id group, std::uint64_t index,
             std::span<const record_ptr> records, write_set& out) override {
    for (std::size_t i = 0; i < records.size(); ++i) {
      const auto key = key_of(group, *records[i]);
      const auto before = view.get(family::journal, key);
      HOLDFAST_ASSERT(before && !*before, "a record is applied once");
      out.put(family::journal, key, std::to_string(index) + "." + std::to_string(i));
    }
  }
};

/// Passes everything on. Remembers which keys are durable, holds writes back, fails them.
class watched_store final : public store {
public:
  explicit watched_store(store& under) : under_(under) {}

  result<std::optional<std::string>> get(family in, std::string_view key) const override {
    return under_.get(in, key);
  }
  std::unique_ptr<cursor> scan(family in, std::string_view lower, std::string_view upper,
                               bool descending) const override {
    return under_.scan(in, lower, upper, descending);
  }
  std::unique_ptr<reader> snapshot() const override { return under_.snapshot(); }

  status write(const write_set& writes, bool durable) override {
    HOLDFAST_ASSERT(!writing_.exchange(true), "one write at a time");
    {
      std::unique_lock lock{mutex_};
      held_ = closed_;
      changed_.notify_all();
      changed_.wait(lock, [&] { return !closed_; });
      held_ = false;
    }
    auto written =
      fail_ ? status{error{errc::io_failure, "as the test says"}} : under_.write(writes, durable);
    {
      const std::lock_guard lock{mutex_};
      ++writes_;
      if (written && durable)
        for (const auto& op : writes.ops())
          durable_.insert(op.key);
    }
    writing_ = false;
    return written;
  }

  /// Writes from now on wait for `open`.
  void close() {
    const std::lock_guard lock{mutex_};
    closed_ = true;
  }
  void open() {
    const std::lock_guard lock{mutex_};
    closed_ = false;
    changed_.notify_all();
  }
  bool wait_until_held() {
    std::unique_lock lock{mutex_};
    return changed_.wait_for(lock, patience, [&] { return held_; });
  }
  bool is_durable(const std::string& key) const {
    const std::lock_guard lock{mutex_};
    return durable_.contains(key);
  }
  std::size_t writes() const {
    const std::lock_guard lock{mutex_};
    return writes_;
  }
  void fail_writes(bool fail = true) { fail_ = fail; }

  void settle() override {
    const std::lock_guard lock{mutex_};
    ++settled_;
    changed_.notify_all();
  }
  bool wait_until_settled(std::size_t times) {
    std::unique_lock lock{mutex_};
    return changed_.wait_for(lock, patience, [&] { return settled_ >= times; });
  }
  std::size_t settled() const {
    const std::lock_guard lock{mutex_};
    return settled_;
  }

private:
  store& under_;
  std::atomic<bool> writing_{false};
  std::atomic<bool> fail_{false};
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool closed_ = false;
  bool held_ = false;
  std::size_t writes_ = 0;
  std::size_t settled_ = 0;
  std::set<std::string> durable_;
};

/// Remembers everything; checks what must hold at the moment of the call.
class witness final : public commit_listener {
public:
  struct commit {
    group_id group = 0;
    std::uint64_t term = 0;
    std::uint64_t index = 0;
    std::vector<record_ptr> records;
    std::size_t writes = 0;  ///< that the store had seen
  };

  explicit witness(const watched_store& disk) : disk_(disk) {}

  void leading(group_id group, std::uint64_t term) override {
    const std::lock_guard lock{mutex_};
    terms_.emplace_back(group, term);
  }
  void committed(group_id group, std::uint64_t term, std::uint64_t index,
                 std::vector<record_ptr> records) override {
    for (const auto& record : records)
      if (!disk_.is_durable(key_of(group, *record)))
        acked_early_ = true;
    const std::lock_guard lock{mutex_};
    count_ += records.size();
    commits_.push_back({group, term, index, std::move(records), disk_.writes()});
    changed_.notify_all();
  }
  void lost(group_id group, std::uint64_t term, errc) override {
    const std::lock_guard lock{mutex_};
    lost_.emplace_back(group, term);
  }

  bool wait_for(std::size_t records) {
    std::unique_lock lock{mutex_};
    return changed_.wait_for(lock, patience, [&] { return count_ >= records; });
  }
  std::size_t count() const {
    const std::lock_guard lock{mutex_};
    return count_;
  }
  std::vector<commit> commits() const {
    const std::lock_guard lock{mutex_};
    return commits_;
  }
  std::vector<std::pair<group_id, std::uint64_t>> terms() const {
    const std::lock_guard lock{mutex_};
    return terms_;
  }
  std::vector<std::pair<group_id, std::uint64_t>> lost() const {
    const std::lock_guard lock{mutex_};
    return lost_;
  }
  bool acked_early() const { return acked_early_; }

private:
  const watched_store& disk_;
  std::atomic<bool> acked_early_{false};
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t count_ = 0;
  std::vector<commit> commits_;
  std::vector<std::pair<group_id, std::uint64_t>> terms_;
  std::vector<std::pair<group_id, std::uint64_t>> lost_;
};

}  // namespace holdfast::testing
