#pragma once
// Takes a backup of all groups at a consistent cut (DESIGN §6). Every node holds every group, so the node that is asked
// pins what it holds of each when it applies the group's cut, and writes that; nothing is fetched from others.

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "persistence/backup_file.hpp"
#include "persistence/store.hpp"
#include "runtime/gateway/backend.hpp"

namespace holdfast {

class backup_keeper : public std::enable_shared_from_this<backup_keeper> {
public:
  struct parts {
    const store* disk = nullptr;
    std::uint16_t partitions = partitions_default;
    /// Has whoever leads the group cut; said again until it has.
    std::function<void(group_id, std::uint64_t epoch)> ask_to_cut;
    /// Whether every node understands what a backup writes into the log; null: this one is alone.
    std::function<status()> check_others = {};
    std::function<time_us()> wall_now;
    std::string cluster;
    std::string node;
    std::string version;
    std::uint32_t feature_level = 1;
    std::chrono::milliseconds cut_limit{20'000};  ///< for all groups to cut
  };

  explicit backup_keeper(parts p) : p_(std::move(p)) {}
  ~backup_keeper() { stop(); }

  // ---- from the log, on its thread
  void cut(group_id group, std::uint64_t epoch, std::uint64_t index);
  /// The group's state was replaced: its cut may have been jumped over.
  void replaced(group_id group);

  /// It outlives what it gives. Errors: `conflict`, `draining`.
  result<std::shared_ptr<backup_job>> begin();
  /// Gives up what is being taken.
  void stop();

private:
  class job;
  struct pinned {
    std::unique_ptr<reader> state;
    std::uint64_t applied = 0;
  };
  using open_function = std::function<net::stream_handle()>;

  void run(const open_function& open, const std::function<void(const error&)>& refuse);
  result<std::uint64_t> newest_epoch() const;
  status begin_epoch();
  status wait_for_cuts(group_id first, group_id last);
  void write(const net::stream_handle& out);
  status write_group(const net::stream_handle& out, backup_writer& writer, group_id group,
                     pinned what);
  bool send(const net::stream_handle& out, std::string bytes);
  void end();

  const parts p_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool taken_ = false;  // somebody has the right to take one
  bool stopped_ = false;
  std::uint64_t epoch_ = 0;   // of the backup that is being taken; 0: none is
  std::uint64_t newest_ = 0;  // of all cuts that were seen
  time_us taken_at_ = 0;
  std::map<group_id, pinned> pinned_;
  std::optional<error> missed_;
  std::thread thread_;
};

}  // namespace holdfast
