#pragma once
// What every verb is handed: the process around it, the global options, the console, the server.

#include <chrono>
#include <cstddef>
#include <functional>
#include <iosfwd>
#include <memory>
#include <optional>
#include <string>

#include "schemas/ids.hpp"
#include "tools/holdfast/client.hpp"
#include "tools/holdfast/connection.hpp"
#include "tools/holdfast/console.hpp"
#include "tools/holdfast/server_verbs.hpp"

namespace holdfast::cli {

/// The process that a command runs in; tests make their own.
struct command_host {
  std::istream& in;
  std::ostream& out;
  std::ostream& err;
  bool in_is_terminal = false;
  bool out_is_terminal = false;
  bool err_is_terminal = false;
  std::size_t columns = 0;  ///< of the terminal behind `out`; 0: unknown
  variable_lookup variable = {};
  std::function<time_us()> now = {};
  /// Opens an editor on the file and waits; false when it did not end well.
  std::function<bool(const std::string& file)> edit = {};
  std::function<int(const dev_options&)> dev = {};
  std::function<int(const serve_options&)> serve = {};
  std::function<int(const std::string& dir, console&)> doctor_folder = {};
  std::function<int(const restore_folder_options&, console&)> restore_folder = {};
  std::chrono::milliseconds poll_interval{1'000};  ///< of `-w` and `watch`
  /// Installed before a verb that waits on a server; see interrupt.hpp. Optional.
  std::function<void()> exit_on_interrupt = {};
};

struct global_options {
  connection_flags connection;
  std::string output;  ///< `-o`; empty when not given
  bool no_colour = false;
};

class session {
public:
  session(command_host& host, const global_options& options);

  command_host& host() noexcept { return host_; }
  console& out() noexcept { return out_; }
  time_us now() const { return host_.now(); }

  /// The server, connected to on first use. Throws `command_failure` (usage) when the context is
  /// bad.
  api_client& api();
  /// The same at another URL, with the same token; empty: as `api`. Only before anything is asked.
  api_client& api_at(const std::string& url);

  /// Asks on a terminal, unless `yes`; without a terminal nobody can be asked: true.
  bool confirm(const std::string& question, bool yes);

private:
  command_host& host_;
  const global_options& options_;
  console out_;
  std::unique_ptr<api_client> api_;
};

}  // namespace holdfast::cli
