#include "cluster/restore.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "cluster/cluster_identity.hpp"
#include "persistence/group_import.hpp"
#include "persistence/keys.hpp"
#include "persistence/kill_point.hpp"
#include "persistence/log_state.hpp"
#include "persistence/rocksdb_store.hpp"
#include "runtime/core/apply.hpp"
#include "runtime/core/feature_levels.hpp"
#include "runtime/host/sha256.hpp"

namespace holdfast {

namespace {

namespace fs = std::filesystem;

/// In the folder from before its first byte until its last one is on disk.
constexpr std::string_view unfinished_name = "RESTORE_UNFINISHED";
constexpr std::size_t restore_read_bytes = 1U << 20;

/// Feeds the whole file. Errors: of the reader, `not_found`, `io_failure`.
status read_backup(const restore_options& options, bool restoring, backup_reader& into) {
  std::ifstream in{options.file, std::ios::binary};
  if (!in)
    return error{errc::not_found, "cannot read " + options.file.string()};
  restore_progress now{.restoring = restoring};
  std::error_code unknown;
  if (const auto size = fs::file_size(options.file, unknown); !unknown)
    now.bytes_all = size;
  std::string piece(restore_read_bytes, '\0');
  while (in) {
    in.read(piece.data(), static_cast<std::streamsize>(piece.size()));
    const auto count = static_cast<std::size_t>(in.gcount());
    if (auto fed = into.feed({piece.data(), count}); !fed)
      return fed;
    now.bytes += count;
    now.groups = into.groups().size();
    now.groups_all = into.header() ? into.header()->groups.size() : 0;
    if (options.on_progress)
      options.on_progress(now);
  }
  if (in.bad())
    return error{errc::io_failure, "cannot read " + options.file.string()};
  return into.finish();
}

status check_place(const fs::path& data) {
  std::error_code failed;
  if (!fs::exists(data, failed))
    return ok_status();
  if (!fs::is_directory(data, failed) || !fs::is_empty(data, failed) || failed)
    return error{errc::conflict, data.string() +
                                   " is not an empty folder; a restore makes a new one: give "
                                   "another, or move this one away"};
  return ok_status();
}

status check_settings(const backup_header& header, const cluster_config& config,
                      const std::string& node) {
  if (!level_problem(features_of_this_release, header.feature_level).empty())
    return error{errc::conflict, "the backup was written by " + header.version +
                                   ", which this version does not understand; restore it with "
                                   "that version, or a newer one"};
  if (config.partitions && *config.partitions != header.partitions)
    return error{errc::conflict, "the backup has " + std::to_string(header.partitions) +
                                   " partitions, and so has what is made of it; the settings say " +
                                   std::to_string(*config.partitions)};
  if (!config.is_alone() && !config.peers.contains(node))
    return error{errc::conflict,
                 "`cluster.peers` does not name this node, `" + node +
                   "`: name all that are restored, with their addresses; they form the cluster, "
                   "and others join once it runs"};
  return ok_status();
}

error folder_failure(const fs::path& what) {
  return {errc::io_failure, "cannot write " + what.string() + ": " + std::strerror(errno)};
}

/// `path` is a file that is made, or a folder whose entries are made durable.
status sync_to_disk(const fs::path& path, int flags) {
  const int opened = ::open(path.c_str(), flags | O_CLOEXEC, 0600);
  if (opened < 0)
    return folder_failure(path);
  const bool synced = ::fsync(opened) == 0;
  auto out = synced ? ok_status() : status{folder_failure(path)};
  ::close(opened);
  return out;
}

/// A folder that no node starts with until it is finished, and that is gone again when that does not happen.
class unfinished_folder {
public:
  explicit unfinished_folder(fs::path at) : at_(std::move(at)), mark_(at_ / unfinished_name) {}
  ~unfinished_folder() {
    if (!begun_ || finished_)
      return;
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator{at_, ignored})
      if (entry.path() != mark_)
        fs::remove_all(entry.path(), ignored);
    fs::remove(mark_,
               ignored);  // the last one: what is left of a folder never looks like a whole one
    if (made_)
      fs::remove(at_, ignored);
  }
  unfinished_folder(const unfinished_folder&) = delete;
  unfinished_folder& operator=(const unfinished_folder&) = delete;

  status begin() {
    std::error_code failed;
    made_ = fs::create_directories(at_, failed);
    if (failed)
      return error{errc::io_failure, "cannot make " + at_.string() + ": " + failed.message()};
    begun_ = true;
    if (auto marked = sync_to_disk(mark_, O_WRONLY | O_CREAT); !marked)
      return marked;
    kill_point("restore.begun");
    return sync_to_disk(at_, O_RDONLY | O_DIRECTORY);
  }

  /// All that is in it is on disk.
  status finish() {
    kill_point("restore.filled");
    std::error_code failed;
    fs::remove(mark_, failed);
    if (failed)
      return error{errc::io_failure, "cannot remove " + mark_.string() + ": " + failed.message()};
    finished_ = true;
    return sync_to_disk(at_, O_RDONLY | O_DIRECTORY);
  }

private:
  const fs::path at_;
  const fs::path mark_;
  bool made_ = false;
  bool begun_ = false;
  bool finished_ = false;
};

/// Takes the groups in, one after the other.
class group_restorer {
public:
  group_restorer(store& disk, const restore_options& options) : disk_(disk), options_(options) {}

  void begin(const backup_header& header) { header_ = header; }

  status take(std::string_view chunk) {
    if (!import_) {
      auto begun = disk_.import_group(next_);
      if (!begun)
        return begun.error();
      import_ = std::move(*begun);
    }
    return import_->add(chunk);
  }

  /// What was imported is what was exported: the reader has compared the hash, the import follows the same rows.
  status end(const backup_group& group) {
    if (!import_ || !import_->complete() || import_->digest() != group.state_hash)
      return error{errc::corrupt,
                   "the state of group " + std::to_string(group.group) + " did not arrive whole"};
    write_set books;
    // Newer than every term that the state knows of, so that what was under way in them is over.
    const log_state done{std::max<std::uint64_t>(1, group.term), group.applied + 1};
    auto index = done.applied;
    if (options_.cluster.is_alone())
      put_log_state(group.group, done, books);
    else
      index = begin_log_after(group.group, done, first_members(options_.cluster.peers), books);
    if (auto installed = import_->install(books); !installed)
      return installed;
    import_.reset();
    ++next_;
    return mark(group.group, index);
  }

private:
  /// The state says that it is out of a backup, by the machine that says everything else and in a record of its own.
  status mark(group_id group, std::uint64_t index) {
    auto record = std::make_shared<turn_record>();
    record->at = header_.taken_at;  // the same on every node
    record->facts.push_back(group_restored{header_.epoch, header_.taken_at});
    if (group == catalog_group)  // which has no agents to be held
      record->facts.push_back(restore_finished{header_.epoch});
    const std::shared_ptr<const turn_record> fixed = std::move(record);
    write_set writes;
    machine_.apply(disk_, group, index, {&fixed, 1}, writes);
    return disk_.write(writes, false);
  }

  store& disk_;
  const restore_options& options_;
  fact_machine machine_{16, sha256};
  backup_header header_;
  std::unique_ptr<group_import> import_;
  group_id next_ = 0;
};

status import_all(store& disk, const restore_options& options) {
  group_restorer groups{disk, options};
  backup_reader::events on;
  on.header = [&](const backup_header& header) {
    groups.begin(header);
    return ok_status();
  };
  on.chunk = [&](std::string_view chunk) { return groups.take(chunk); };
  on.group = [&](const backup_group& group) { return groups.end(group); };
  backup_reader file{std::move(on)};
  return read_backup(options, true, file);
}

/// Everything, into a folder that has been made.
status fill_folder(const restore_options& options, const backup_header& header) {
  auto disk = open_rocksdb({options.data.string(), 512ULL << 20, true, false, {}});
  if (!disk)
    return disk.error();
  if (auto imported = import_all(**disk, options); !imported)
    return imported;
  write_set done;
  done.put(family::meta, keys::node("partitions"), std::to_string(header.partitions));
  if (!options.cluster.is_alone())
    put_former(options.cluster, options.node, done);
  return (*disk)->write(done, true);
}

}  // namespace

status check_restore_finished(const fs::path& data) {
  std::error_code failed;
  const bool unfinished = fs::exists(data / unfinished_name, failed);
  if (failed)
    return error{errc::io_failure, "cannot read " + data.string() + ": " + failed.message()};
  if (unfinished)
    return error{errc::conflict, "a restore into " + data.string() +
                                   " did not finish; remove the folder and restore again"};
  return ok_status();
}

result<restored_backup> restore_backup(const restore_options& options) {
  if (auto place = check_place(options.data); !place)
    return place.error();
  backup_reader whole{{}};
  if (auto read = read_backup(options, false, whole); !read)
    return error{read.error().code, options.file.string() + ": " + read.error().context};
  const auto& header = *whole.header();
  if (auto fits = check_settings(header, options.cluster, options.node); !fits)
    return fits.error();
  unfinished_folder folder{options.data};
  if (auto begun = folder.begin(); !begun)
    return begun.error();
  if (auto filled = fill_folder(options, header); !filled)
    return filled.error();
  if (auto finished = folder.finish(); !finished)
    return finished.error();
  return restored_backup{header, whole.groups()};
}

}  // namespace holdfast
