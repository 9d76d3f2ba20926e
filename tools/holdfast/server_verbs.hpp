#pragma once
// What the binary does besides being a client: the verbs that open a data folder or run a node.

#include <optional>
#include <string>

#include "persistence/backup_file.hpp"
#include "runtime/host/config.hpp"

namespace holdfast::cli {
class console;
}

namespace holdfast {

struct dev_options {
  std::string dir;  ///< folder of definitions; `.` when none was given
  config_flags flags;
};

struct serve_options {
  std::optional<std::string> config;  ///< node.yaml
  config_flags flags;
};

struct restore_folder_options {
  std::string file;
  std::optional<std::string> config;  ///< node.yaml
  config_flags flags;
};

/// What a restore made.
struct restored_folder {
  backup_header header;
  std::vector<backup_group> groups;
  std::string data;
  std::string node;
  bool is_alone = true;
};

// Implemented in server_verbs.cpp. Each returns the process's exit code and does its own signal
// handling.

/// A node for development, until SIGINT or SIGTERM.
int run_dev(const dev_options& options);

/// A node, until SIGINT or SIGTERM.
int run_serve(const serve_options& options);

/// Checks a stopped data folder: makes the document of `GET /v1/doctor` and hands it to
/// `cli::report_findings` (tools/holdfast/doctor_verb.hpp), whose exit code it returns.
int doctor_folder(const std::string& dir, cli::console& output);

/// Makes a data folder out of a backup, and hands what it made to `cli::report_restored`
/// (tools/holdfast/command_tree.hpp), whose exit code it returns.
int restore_folder(const restore_folder_options& options, cli::console& output);

}  // namespace holdfast
