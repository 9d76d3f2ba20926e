// `cluster backup` and `cluster restore`.

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "persistence/backup_file.hpp"
#include "schemas/units.hpp"
#include "tools/holdfast/command_tree.hpp"
#include "tools/holdfast/display_text.hpp"
#include "tools/holdfast/progress_line.hpp"

namespace holdfast::cli {

namespace {

using json = nlohmann::ordered_json;
namespace fs = std::filesystem;

constexpr std::chrono::seconds cuts_limit{60};

[[noreturn]] void fail_with_errno(const std::string& what) {
  throw command_failure{exit_code::failed, what + ": " + std::strerror(errno)};
}

/// A file that is there, whole and synced, under its name or not at all. Until then it is NAME.partial, which a failure
/// leaves behind for nobody.
class new_file {
public:
  explicit new_file(fs::path name) : name_(std::move(name)), partial_(name_.string() + ".partial") {
    if (fs::exists(name_))
      throw command_failure{exit_code::refused,
                            name_.string() + " exists already; give another name"};
    file_ = ::open(partial_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (file_ < 0)
      fail_with_errno("cannot write " + partial_.string());
  }
  ~new_file() {
    if (file_ < 0)
      return;
    ::close(file_);
    std::error_code ignored;
    fs::remove(partial_, ignored);
  }
  new_file(const new_file&) = delete;
  new_file& operator=(const new_file&) = delete;

  /// False: see errno.
  bool write(std::string_view bytes) {
    while (!bytes.empty()) {
      const auto written = ::write(file_, bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR)
        continue;
      if (written < 0)
        return false;
      bytes.remove_prefix(static_cast<std::size_t>(written));
    }
    return true;
  }

  void finish() {
    if (::fsync(file_) != 0)
      fail_with_errno("cannot write " + partial_.string());
    std::error_code failed;
    fs::rename(partial_, name_, failed);
    if (failed)
      throw command_failure{exit_code::failed,
                            "cannot write " + name_.string() + ": " + failed.message()};
    ::close(std::exchange(file_, -1));
    const auto folder = name_.has_parent_path() ? name_.parent_path() : fs::path{"."};
    if (const int opened = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        opened >= 0) {
      ::fsync(opened);
      ::close(opened);
    }
  }

private:
  fs::path name_;
  fs::path partial_;
  int file_ = -1;
};

json groups_of(const std::vector<backup_group>& groups) {
  json out = json::array();
  for (const auto& group : groups)
    out.push_back(
      {{"id", group.group}, {"applied", group.applied}, {"state_hash", to_hex(group.state_hash)}});
  return out;
}

json backup_document(const char* kind, const backup_header& header,
                     const std::vector<backup_group>& groups) {
  return {{"kind", kind},
          {"cluster", header.cluster},
          {"taken_at", format_time(header.taken_at)},
          {"epoch", header.epoch},
          {"version", header.version},
          {"partitions", header.partitions},
          {"groups", groups_of(groups)}};
}

exit_code back_up(session& with, const std::string& name, const std::string& reason) {
  new_file file{name};
  auto& out = with.out();
  progress_line shown{out};
  backup_reader reader{{}};
  status taken = ok_status();
  int write_errno = 0;
  api_request request{.method = "POST", .path = api_path{"/v1/cluster/backup"}};
  json body = json::object();
  if (!reason.empty())
    body["reason"] = reason;
  request.content_type = "application/json";
  request.body = body.dump();
  request.answer_timeout = cuts_limit;
  try {
    with.api().download(request, [&](std::string_view bytes) {
      if (!file.write(bytes)) {
        write_errno = errno;
        return false;
      }
      taken = reader.feed(bytes);
      if (reader.header())
        shown.show(
          {"backed up", reader.groups().size(), reader.header()->groups.size(), reader.bytes(), 0});
      return static_cast<bool>(taken);
    });
  } catch (command_failure& failed) {
    if (failed.may_have_arrived)  // whatever became of it there, it is not here
      failed.details = {"the backup was cut short and nothing of it was kept; take another one"};
    throw;
  }
  if (write_errno != 0) {
    errno = write_errno;
    fail_with_errno("cannot write " + name);
  }
  if (taken)
    taken = reader.finish();
  if (!taken)
    throw command_failure{exit_code::failed, taken.error().context + "; nothing was kept"};
  file.finish();
  shown.end();
  auto document = backup_document("backup", *reader.header(), reader.groups());
  document["file"] = name;
  document["bytes"] = reader.bytes();
  if (!out.is_for_people()) {
    out.describe(document, with.now());
    return exit_code::done;
  }
  out.line(printable(name) + ": cluster " + printable(reader.header()->cluster) + " as of " +
           format_time(reader.header()->taken_at) + ", " +
           std::to_string(reader.header()->partitions) + " partitions, " +
           size_text(reader.bytes()));
  return exit_code::done;
}

}  // namespace

int report_restored(const restored_folder& done, console& out) {
  auto document = backup_document("restored", done.header, done.groups);
  document["data"] = done.data;
  document["node"] = done.node;
  if (!out.is_for_people()) {
    out.describe(document, 0);
    return 0;
  }
  for (const auto& group : done.groups)
    out.line("partition " + std::to_string(group.group) + "  " + to_hex(group.state_hash) +
             "  at " + std::to_string(group.applied));
  out.line(printable(done.data) + ": node " + done.node + ", out of the backup of cluster " +
           printable(done.header.cluster) + " of " + format_time(done.header.taken_at));
  if (!done.is_alone)
    out.say(
      "run the same with the same FILE on every other node of `cluster.peers`, and compare what it "
      "prints; then start them all");
  else
    out.say("start it: holdfast serve");
  out.say(
    "what was open in the backup is paused, cause `restored`; look at it, then go on with\n"
    "  holdfast reconcile list\n"
    "  holdfast agent resume --where '.cause.kind == \"restored\"'");
  return 0;
}

void add_backup_verbs(command_tree& tree, CLI::App& cluster) {
  auto file = std::make_shared<std::string>();
  auto reason = std::make_shared<std::string>();
  auto& backup = tree.verb(
    cluster, "backup", "a consistent copy of everything, into one file, while the cluster works",
    "holdfast cluster backup /backup/monday.holdfast\n"
    "holdfast --server https://10.0.0.12:7070 cluster backup /backup/monday.holdfast",
    [file, reason](session& with) { return back_up(with, *file, *reason); });
  backup.add_option("file", *file, "to write; must not exist")->required()->option_text("FILE");
  backup.add_option("--reason", *reason, "why")->option_text("TEXT");

  auto options = std::make_shared<restore_folder_options>();
  auto& restore = tree.verb(
    cluster, "restore", "a new data folder out of a backup; on each node, with the same FILE",
    "holdfast cluster restore /backup/monday.holdfast --config /etc/holdfast/node.yaml\n"
    "holdfast cluster restore /backup/monday.holdfast --data /var/lib/holdfast --node n1",
    [options](session& with) {
      return static_cast<exit_code>(with.host().restore_folder(*options, with.out()));
    });
  restore.add_option("file", options->file, "made by `cluster backup`")
    ->required()
    ->option_text("FILE");
  restore.add_option("-c,--config", options->config, "the settings of the node that is made")
    ->option_text("FILE");
  restore.add_option("--data", options->flags.data, "folder to make; must not exist, or be empty")
    ->option_text("DIR");
  restore.add_option("--node", options->flags.node, "its name")->option_text("NAME");
}

}  // namespace holdfast::cli
