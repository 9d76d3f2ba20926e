#pragma once
// A new data folder out of a backup: the state of every group, and logs that go on from it. Nodes that are made of the
// same file with the same peers are replicas of each other, as if they had applied the same log.

#include <cstdint>
#include <filesystem>
#include <functional>

#include "persistence/backup_file.hpp"
#include "runtime/host/config_cluster.hpp"

namespace holdfast {

/// The file is read twice, so both numbers begin anew.
struct restore_progress {
  bool restoring = false;      ///< false: the file is being checked
  std::size_t groups = 0;      ///< of which that is done
  std::size_t groups_all = 0;  ///< 0: not known yet
  std::uint64_t bytes = 0;     ///< of the file
  std::uint64_t bytes_all = 0;
};

struct restore_options {
  std::filesystem::path file;
  std::filesystem::path data;  ///< is made; an empty folder will do
  std::string node;            ///< its name; of one that is alone, any
  cluster_config
    cluster;  ///< its peers are the first members of every group; alone: a folder of a single node
  std::function<void(const restore_progress&)>
    on_progress;  ///< optional; by the caller's thread, for every MiB that was read
};

struct restored_backup {
  backup_header header;
  std::vector<backup_group> groups;
};

/// The whole file is checked before anything is made, and what was made is removed when it fails. A folder that a crash
/// left unfinished is refused by every node. Errors: `conflict` (the folder is not empty, the settings give another
/// number of partitions, or do not name this node among its peers), `corrupt` (the file), `not_found`, `io_failure`.
result<restored_backup> restore_backup(const restore_options& options);

/// The folder is not half of one that was to be restored. Errors: `conflict`, `io_failure`.
status check_restore_finished(const std::filesystem::path& data);

}  // namespace holdfast
