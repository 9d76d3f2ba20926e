#include "tools/holdfast/server_verbs.hpp"

#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "cluster/node.hpp"
#include "cluster/restore.hpp"
#include "persistence/keys.hpp"
#include "persistence/kill_point.hpp"
#include "persistence/rocksdb_store.hpp"
#include "runtime/gateway/doctor.hpp"
#include "runtime/host/log.hpp"
#include "runtime/host/sha256.hpp"
#include "tools/holdfast/client.hpp"
#include "tools/holdfast/command_tree.hpp"
#include "tools/holdfast/definition_folder.hpp"
#include "tools/holdfast/doctor_verb.hpp"
#include "tools/holdfast/progress_line.hpp"
#include "tools/holdfast/service_manager.hpp"
#include "tools/holdfast/version.hpp"

namespace holdfast {

namespace {

namespace fs = std::filesystem;
using json = nlohmann::ordered_json;

constexpr int exit_invalid = 2;
constexpr int exit_removed = 5;  // the node is no member of its cluster any more
constexpr int exit_not_started = 6;
constexpr std::chrono::seconds drain_limit{20};

/// SIGINT and SIGTERM, and SIGHUP where it means to read files again, as something to wait for.
/// Made before any thread, so that none of them takes the signal.
class process_signals {
public:
  enum class kind { none, stop, reload };

  explicit process_signals(bool reloads) {
    sigset_t wanted;
    sigemptyset(&wanted);
    sigaddset(&wanted, SIGINT);
    sigaddset(&wanted, SIGTERM);
    if (reloads)  // else the end of a terminal is the end of the process
      sigaddset(&wanted, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &wanted, nullptr);
    std::signal(SIGPIPE, SIG_IGN);
    file_ = ::signalfd(-1, &wanted, SFD_CLOEXEC);
  }
  ~process_signals() { ::close(file_); }
  process_signals(const process_signals&) = delete;
  process_signals& operator=(const process_signals&) = delete;

  /// What came within that time.
  kind wait(int milliseconds) const {
    pollfd one{file_, POLLIN, 0};
    signalfd_siginfo came{};
    if (::poll(&one, 1, milliseconds) <= 0 || ::read(file_, &came, sizeof came) != sizeof came)
      return kind::none;
    return came.ssi_signo == SIGHUP ? kind::reload : kind::stop;
  }

private:
  int file_ = -1;
};

int report(const loaded_config& loaded) {
  for (const auto& problem : loaded.problems)
    std::fprintf(stderr, "holdfast: %s\n", to_string(problem).c_str());
  return exit_invalid;
}

int refuse(const error& why) {
  std::fprintf(stderr, "holdfast: %s\n", why.context.c_str());
  if (why.code == errc::gone)
    return exit_removed;
  return why.code == errc::schema || why.code == errc::malformed ? exit_invalid : exit_not_started;
}

void stop(node& running) {
  std::fprintf(stderr, "holdfast: stopping\n");
  tell_stopping();
  running.stop(drain_limit);
}

std::string url_of(const node_config& config, std::uint16_t port) {
  const bool v6 = config.http.host.find(':') != std::string::npos;
  return (config.tls.cert.empty() ? "http://" : "https://") +
         std::string{v6 ? "[" + config.http.host + "]" : config.http.host} + ":" +
         std::to_string(port);
}

/// The definitions of a folder, kept current on a running node.
class watched_folder {
public:
  /// `token`: a key for the node; empty: none is asked for.
  watched_folder(fs::path folder, const std::string& server, const std::string& token)
    : folder_(std::move(folder)), asks_for_key_(!token.empty()), api_({server, token, {}}) {}

  /// Applies the folder when something in it changed since the last look. A folder that does not apply keeps the old
  /// versions and says why. False: it was refused.
  bool look() {
    std::map<fs::path, fs::file_time_type> now;
    std::error_code failed;
    for (const auto& file : cli::definition_files_in(folder_))
      now[file] = fs::last_write_time(file, failed);
    if (seen_ == now)
      return true;
    const bool first = !seen_.has_value();
    seen_ = now;
    if (now.empty()) {
      if (first)
        std::fprintf(
          stderr,
          "holdfast: no definitions in %s yet; `holdfast init DIR` writes some to start with\n",
          folder_.c_str());
      return true;
    }
    return apply(first);
  }

private:
  bool apply(bool first) {
    json files = json::array();
    for (const auto& [file, at] : *seen_) {
      std::ifstream in{file, std::ios::binary};
      files.push_back(
        {{"name", file.string()}, {"text", std::string{std::istreambuf_iterator<char>{in}, {}}}});
    }
    cli::api_request request{.method = "PUT", .path = cli::api_path{"/v1/definitions"}};
    request.content_type = "application/vnd.holdfast.definitions+json";
    try {
      request.body = json{{"files", std::move(files)}}.dump();
      const auto answer = api_.call(request).document();
      for (const auto& item : answer.value("items", json::array()))
        if (first || item.value("change", "") != "unchanged")
          std::fprintf(stderr, "  %s/%s@%s %s\n", item.value("kind", "").c_str(),
                       item.value("name", "").c_str(), item.value("version", json{}).dump().c_str(),
                       item.value("change", "").c_str());
      if (first)
        print_examples(answer);
      return true;
    } catch (const cli::command_failure& why) {
      std::fprintf(stderr, "holdfast: %s not applied: %s\n", folder_.c_str(), why.message.c_str());
      for (const auto& detail : why.details)
        std::fprintf(stderr, "  %s\n", detail.c_str());
    } catch (const json::exception& why) {
      std::fprintf(stderr, "holdfast: %s not applied: %s\n", folder_.c_str(), why.what());
    }
    return false;
  }

  void print_examples(const json& answer) const {
    for (const auto& item : answer.value("items", json::array()))
      if (item.value("kind", "") == "agent")
        std::fprintf(stderr,
                     "  curl -sS '%s/v1/agents/%s/demo/events?wait=30s' -H 'Content-Type: "
                     "application/json'%s -d '{\"data\":{}}'\n",
                     api_.server().c_str(), item.value("name", "").c_str(),
                     asks_for_key_ ? " -H \"Authorization: Bearer $HOLDFAST_TOKEN\"" : "");
  }

  fs::path folder_;
  bool asks_for_key_;
  cli::api_client api_;
  std::optional<std::map<fs::path, fs::file_time_type>> seen_;
};

/// A folder that is gone with the process.
class temporary_folder {
public:
  temporary_folder() {
    std::string name = (fs::temp_directory_path() / "holdfast-dev-XXXXXX").string();
    path_ = ::mkdtemp(name.data()) != nullptr ? fs::path{name} : fs::path{};
  }
  ~temporary_folder() {
    std::error_code ignored;
    if (!path_.empty())
      fs::remove_all(path_, ignored);
  }
  temporary_folder(const temporary_folder&) = delete;
  temporary_folder& operator=(const temporary_folder&) = delete;
  const fs::path& path() const noexcept { return path_; }

private:
  fs::path path_;
};

}  // namespace

int run_dev(const dev_options& options) {
  const process_signals signals{false};
  arm_kill_points();
  auto loaded = load_dev_config(options.dir, options.flags, process_environment());
  if (!loaded)
    return report(loaded);
  if (!loaded.config.tls.cert.empty())
    return refuse({errc::schema,
                   "`tls`: `dev` speaks plain HTTP, to itself too; use `holdfast serve`, or "
                   "`terminated_by: proxy`"});
  log::open(options.flags.log_level ? loaded.config.log_level : "warn", loaded.config.log_format);
  std::optional<temporary_folder> temporary;
  if (loaded.config.data.empty()) {
    temporary.emplace();
    if (temporary->path().empty())
      return refuse({errc::io_failure, "cannot make a temporary folder; give one with --data DIR"});
    loaded.config.data = temporary->path();
  }
  node running{{loaded.config, loaded.env, true, cli::version_text()}};
  const auto token = running.own_token();
  if (auto started = running.start(); !started)
    return refuse(started.error());
  const auto url = url_of(loaded.config, running.port());
  std::fprintf(stderr,
               "holdfast: listening on %s\n  data     %s%s\n  health   %s/readyz\n  openapi  "
               "%s/openapi.json\n",
               url.c_str(), loaded.config.data.c_str(),
               temporary ? " (temporary; keep it with --data DIR)" : "", url.c_str(), url.c_str());
  watched_folder folder{options.dir, url, token};
  folder.look();
  std::fprintf(stderr, "holdfast: ready; Ctrl-C stops\n");
  tell_ready();
  while (signals.wait(500) != process_signals::kind::stop)
    folder.look();
  stop(running);
  return 0;
}

/// Those of the release, unless HOLDFAST_FEATURE_LEVELS says otherwise: tests of upgrades do, with one binary.
result<feature_levels> features_of_this_process() {
  const char* told = std::getenv("HOLDFAST_FEATURE_LEVELS");
  if (told == nullptr)
    return features_of_this_release;
  const auto read = parse_feature_levels(told);
  if (!read)
    return error{errc::schema, "HOLDFAST_FEATURE_LEVELS: expected OLDEST-NEWEST, such as 1-2"};
  log::warn("feature-levels-told", {{"levels", told}, {"why", "only a test may do this"}});
  return *read;
}

int run_serve(const serve_options& options) {
  const process_signals signals{true};
  arm_kill_points();
  auto loaded =
    load_config(options.config ? std::optional<fs::path>{*options.config} : std::nullopt,
                options.flags, process_environment());
  if (!loaded)
    return report(loaded);
  log::open(loaded.config.log_level, loaded.config.log_format);
  if (loaded.config.data.empty())
    return refuse(
      {errc::schema,
       "`serve` needs a data folder: `data:` in the configuration, --data DIR or HOLDFAST_DATA"});
  std::atomic<bool> removed{false};
  const auto on_removed = [&removed] {
    removed = true;
    ::kill(::getpid(), SIGTERM);  // as a service manager would
  };
  const auto features = features_of_this_process();
  if (!features)
    return refuse(features.error());
  node running{{loaded.config, loaded.env, false, cli::version_text(), on_removed, *features}};
  if (auto started = running.start(); !started)
    return refuse(started.error());
  std::fprintf(stderr, "holdfast: listening on %s\n",
               url_of(loaded.config, running.port()).c_str());
  tell_ready();
  const auto beat_ms = static_cast<int>(watchdog_interval().count());
  for (auto came = process_signals::kind::none; came != process_signals::kind::stop;) {
    came = signals.wait(beat_ms == 0 ? 60'000 : beat_ms);
    if (beat_ms != 0 &&
        reacts(loaded.config.http.host, running.port(), std::chrono::milliseconds{beat_ms}))
      tell_alive();
    if (came != process_signals::kind::reload)
      continue;
    std::fprintf(stderr, "holdfast: reading certificate and keys again\n");
    running.reload();
  }
  stop(running);
  return removed ? exit_removed : 0;
}

int doctor_folder(const std::string& dir, cli::console& output) {
  if (auto whole = check_restore_finished(dir); !whole)
    return refuse(whole.error());
  auto opened = open_rocksdb({dir, 256ULL << 20, false, true});
  if (!opened)
    return refuse(opened.error());
  const auto partitions = (*opened)->get(family::meta, keys::node("partitions"));
  if (!partitions || !*partitions)
    return refuse({errc::not_found, "the folder " + dir + " holds no holdfast data"});
  const auto document =
    examine(**opened, static_cast<std::uint16_t>(std::stoul(**partitions)), sha256);
  return static_cast<int>(cli::report_findings(json::parse(document), output));
}

int restore_folder(const restore_folder_options& options, cli::console& output) {
  constexpr int exit_failed = 1;
  constexpr int exit_not_found = 4;
  constexpr int exit_refused = 5;
  arm_kill_points();
  const auto loaded =
    load_config(options.config ? std::optional<fs::path>{*options.config} : std::nullopt,
                options.flags, process_environment());
  if (!loaded)
    return report(loaded);
  if (loaded.config.data.empty())
    return refuse(
      {errc::schema, "where to? `data:` in the settings (--config FILE), or --data DIR"});
  restore_options wanted;
  wanted.file = options.file;
  wanted.data = loaded.config.data;
  wanted.node = loaded.config.node;
  wanted.cluster = loaded.config.cluster;
  cli::progress_line shown{output};
  wanted.on_progress = [&shown](const restore_progress& now) {
    shown.show({now.restoring ? "restored" : "checked", now.groups, now.groups_all, now.bytes,
                now.bytes_all});
  };
  auto done = restore_backup(wanted);
  shown.end();
  if (!done) {
    std::fprintf(stderr, "holdfast: %s\n", done.error().context.c_str());
    return done.error().code == errc::conflict    ? exit_refused
           : done.error().code == errc::not_found ? exit_not_found
                                                  : exit_failed;
  }
  return cli::report_restored(
    {std::move(done->header), std::move(done->groups), loaded.config.data.string(),
     loaded.config.node, loaded.config.cluster.is_alone()},
    output);
}

}  // namespace holdfast
