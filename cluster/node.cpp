#include "cluster/node.hpp"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <random>
#include <set>
#include <thread>

#include "actors/catalog.hpp"
#include "actors/commit_feed.hpp"
#include "actors/shard.hpp"
#include "cluster/backup_keeper.hpp"
#include "cluster/cluster_member.hpp"
#include "cluster/key_keeper.hpp"
#include "cluster/local_backend.hpp"
#include "cluster/restore.hpp"
#include "cluster/worker_thread.hpp"
#include "persistence/keys.hpp"
#include "persistence/kill_point.hpp"
#include "persistence/local_log.hpp"
#include "persistence/rocksdb_store.hpp"
#include "runtime/core/apply.hpp"
#include "runtime/core/llm_loop.hpp"
#include "runtime/definition/compilers.hpp"
#include "runtime/definition/yaml_json.hpp"
#include "runtime/gateway/gateway.hpp"
#include "runtime/host/crash_slots.hpp"
#include "runtime/host/log.hpp"
#include "runtime/host/sha256.hpp"
#include "runtime/native/native_behaviour.hpp"
#include "runtime/net/http_server.hpp"
#include "schemas/units.hpp"

namespace holdfast {

namespace {

time_us wall_now() {
  return std::chrono::duration_cast<std::chrono::microseconds>(
           std::chrono::system_clock::now().time_since_epoch())
    .count();
}

struct actor_config : caf::actor_system_config {
  actor_config() {
    add_message_types<caf::id_block::holdfast>();
    set("scheduler.policy", caf::atom("sharing"));  // facts/caf.md §3
    set("scheduler.max-threads", std::max<std::size_t>(2, std::thread::hardware_concurrency()));
    set("scheduler.max-throughput", std::size_t{200});
    set("logger.verbosity", caf::atom("quiet"));
  }
};

/// What a node may use of memory: the configured limit, else that of its control group, else the machine's.
std::uint64_t memory_limit(std::uint64_t configured) {
  if (configured != 0)
    return configured;
  std::ifstream limit{"/sys/fs/cgroup/memory.max"};
  std::uint64_t bytes = 0;
  if (limit >> bytes && bytes != 0)
    return bytes;
  const auto pages = static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES));
  return std::min<std::uint64_t>(pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGE_SIZE)) / 2,
                                 1ULL << 30);
}

result<std::string> read_file(const std::filesystem::path& path) {
  std::ifstream in{path, std::ios::binary};
  if (!in)
    return error{errc::io_failure, "cannot read " + path.string()};
  return std::string{std::istreambuf_iterator<char>{in}, {}};
}

/// The models of the configuration, with their scripts read.
result<std::map<std::string, model_endpoint, std::less<>>> open_models(const node_config& config,
                                                                       const compilers& with) {
  std::map<std::string, model_endpoint, std::less<>> out;
  for (const auto& [name, one] : config.models) {
    model_endpoint endpoint;
    endpoint.name = name;
    endpoint.base_url = one.base_url;
    endpoint.model = one.model;
    endpoint.api_key_secret = one.api_key_secret;
    if (one.price)
      endpoint.price = {one.price->input, one.price->output, one.price->cached_input};
    if (one.provider == model_provider::scripted) {
      auto text = read_file(one.file);
      if (!text)
        return text.error();
      auto json = yaml_to_json(*text);
      if (!json)
        return error{json.error().code, one.file.string() + ": " + json.error().context};
      auto script = model::script::parse(*json, with);
      if (!script)
        return error{script.error().code, one.file.string() + ": " + script.error().context};
      endpoint.script = std::move(*script);
    }
    out.emplace(name, std::move(endpoint));
  }
  return out;
}

}  // namespace

/// Members are in the order of their making; they end in the opposite one.
struct node::impl : commit_listener {
  options opts;
  std::shared_ptr<node_services> services = std::make_shared<node_services>();
  std::unique_ptr<store> disk;
  std::unique_ptr<crash_slots> handlers;
  std::set<agent_name> suspects;
  std::map<group_id, std::vector<crash_slots::crashed>> crashed;  // told to the next shard of each
  std::unique_ptr<secret_store> secrets;
  key_keeper known_keys;
  fact_machine machine{4'096, sha256};
  catalog_view definitions;
  shard_directory shards;
  commit_feed feed;
  request_table requests{1};
  llm_loop llm;
  std::unique_ptr<native_behaviour> native;
  echo_behaviour echo;
  loop_behaviour loop;
  std::unique_ptr<net::http_client> http;
  std::unique_ptr<actor_config> actor_settings;
  std::unique_ptr<caf::actor_system> actors;
  catalog_actor catalogue;
  std::mutex catalogue_mutex;
  std::unique_ptr<worker_thread> slow;
  std::unique_ptr<local_log> own_log;      // of a node that is alone,
  std::unique_ptr<cluster_member> member;  // or of one of several
  std::shared_ptr<backup_keeper> backups;
  std::unique_ptr<local_backend> behind;
  std::unique_ptr<gateway> front;
  std::unique_ptr<net::http_server> server;
  std::unique_ptr<ticker> ticks;
  std::atomic<std::size_t> shards_started{0};
  std::atomic<bool> draining{false};
  time_us started_at = 0;
  unsigned ticks_done = 0;  // the ticker's thread only, as the next
  std::uint64_t refusals_told = 0;

  explicit impl(options o) : opts(std::move(o)), known_keys(opts.config.auth) {}

  // ---- commit_listener: on the log's thread
  void leading(group_id group, std::uint64_t term) override {
    if (group == catalog_group)
      return lead_catalog(term);
    auto shard = spawn_shard(*actors, services, group, term);
    for (const auto& one : std::exchange(crashed[group], {}))
      caf::anon_send(shard, atom::crash_v, crash_report{one.agent, one.run});
    shards.put(group, std::move(shard));
  }
  void committed(group_id group, std::uint64_t, std::uint64_t index,
                 std::vector<std::shared_ptr<const turn_record>> records) override {
    if (group == catalog_group) {
      see_members(records);
      caf::anon_send(catalog_owner(), atom::commit_v, committed_group{index, std::move(records)});
    } else if (auto shard = shards.find(group)) {
      caf::anon_send(shard, atom::commit_v, committed_group{index, std::move(records)});
    }
  }
  void cut(group_id group, std::uint64_t epoch, std::uint64_t index) override {
    backups->cut(group, epoch, index);
  }
  void followed(group_id group, std::uint64_t index,
                std::vector<std::shared_ptr<const turn_record>> records) override {
    const auto defines = [](const fact& f) {
      return std::holds_alternative<definition_applied>(f);
    };
    if (group == catalog_group)
      see_members(records);
    bool redefined = false;
    for (auto& record : records) {
      redefined = redefined || (group == catalog_group &&
                                std::any_of(record->facts.begin(), record->facts.end(), defines));
      feed.publish(std::move(record));
    }
    if (redefined)
      read_definitions_of(index);
  }
  void replaced(group_id group) override {
    backups->replaced(group);
    if (group != catalog_group)
      return;
    member->read_members();
    read_definitions_of(member->log_applied(catalog_group));
  }
  void lost(group_id group, std::uint64_t, errc) override {
    if (group == catalog_group) {
      const std::lock_guard lock{catalogue_mutex};
      caf::anon_send(std::exchange(catalogue, catalog_actor{}), atom::lost_v);
    } else if (auto shard = shards.find(group)) {
      shards.remove(group);
      caf::anon_send(shard, atom::lost_v);
    }
    requests.lose(group);
  }

  void lead_catalog(std::uint64_t term) {
    const std::lock_guard lock{catalogue_mutex};
    catalogue = spawn_catalog(*actors, services, term);
    if (member)
      caf::anon_send(catalogue, atom::member_v, member_request{member->formed_by(), {}, nullptr});
  }
  void see_members(const std::vector<std::shared_ptr<const turn_record>>& records) {
    const auto changes = [](const fact& f) { return concerns_membership(f); };
    if (member && std::any_of(records.begin(), records.end(), [&](const auto& record) {
          return std::any_of(record->facts.begin(), record->facts.end(), changes);
        }))
      member->read_members();
  }

  void read_definitions_of(std::uint64_t index) {
    member->definitions_change();
    slow->post([this, index] {
      read_definitions();
      member->definitions_read(index);
    });
  }
  void read_definitions() {
    if (auto known = load_catalog(*disk, services->compile_with))
      definitions.set(std::move(*known));
    else
      log::error("definitions-not-read", {{"why", known.error().context}});
  }

  /// False: the group is not led here.
  bool cut_here(group_id group, std::uint64_t epoch) {
    if (group != catalog_group) {
      const auto shard = shards.find(group);
      if (shard)
        caf::anon_send(shard, atom::cut_v, epoch);
      return static_cast<bool>(shard);
    }
    const auto owner = catalog_owner();
    if (owner)
      caf::anon_send(owner, atom::cut_v, epoch);
    return static_cast<bool>(owner);
  }

  catalog_actor catalog_owner() {
    const std::lock_guard lock{catalogue_mutex};
    return catalogue;
  }

  const behaviour* behaviour_of(const compiled_agent& spec) const {
    if (spec.def.behaviour == behaviour_kind::llm)
      return &llm;
    if (spec.def.behaviour != behaviour_kind::native)
      return nullptr;
    if (spec.def.type == "echo")
      return &echo;
    if (spec.def.type == "loop")
      return &loop;
    return has_native(spec.def.type) ? native.get() : nullptr;
  }

  status open_folder();
  void fill_services();
  status join_cluster();
  void keep_backups();
  status start_log();
  gateway_options gateway_settings();
  status listen();
  void reload();
  void tick();
  void warn_of_certificate() const;
  node_status report() const;
  std::vector<metric_value> measure() const;
};

status node::impl::open_folder() {
  std::error_code failed;
  std::filesystem::create_directories(opts.config.data, failed);
  if (failed)
    return error{errc::io_failure, "cannot make the data folder " + opts.config.data.string() +
                                     ": " + failed.message()};
  if (auto whole = check_restore_finished(opts.config.data); !whole)
    return whole;
  auto opened =
    open_rocksdb({opts.config.data.string(), memory_limit(opts.config.memory_limit_bytes), true,
                  false, [](std::string_view line) {
                    log::warn("store-warning", {{"says", std::string{line}}});
                  }});
  if (!opened)
    return opened.error();
  disk = std::move(*opened);
  if (opts.config.cluster.is_alone())
    if (auto ours = check_not_of_cluster(*disk); !ours)
      return ours;
  // The number of partitions is fixed when the folder is made.
  const auto known = disk->get(family::meta, keys::node("partitions"));
  if (!known)
    return known.error();
  if (*known) {
    services->partitions = static_cast<std::uint16_t>(std::stoul(**known));
  } else {
    services->partitions = opts.config.cluster.partitions;
    write_set mark;
    mark.put(family::meta, keys::node("partitions"), std::to_string(services->partitions));
    if (auto written = disk->write(mark, true); !written)
      return written;
  }
  auto slots = crash_slots::open((opts.config.data / "handlers.slots").string());
  if (!slots)
    return slots.error();
  handlers = std::move(*slots);
  for (const auto& one : handlers->found()) {
    suspects.insert(one.agent);
    crashed[group_of(one.agent, services->partitions)].push_back(one);
  }
  return ok_status();
}

/// The node's link and log, when it is one of several; nothing runs yet.
status node::impl::join_cluster() {
  cluster_member::parts p;
  p.config = opts.config.cluster;
  p.node = opts.config.node;
  p.version = opts.version;
  p.features = opts.features;
  p.partitions = services->partitions;
  p.disk = disk.get();
  p.machine = &machine;
  p.listener = this;
  p.wall_now = wall_now;
  p.deliver = [this](link::outbox_delivery&& mail) {
    if (auto shard = shards.find(mail.target_group))
      caf::anon_send(shard, atom::mail_v,
                     outbox_delivery{{mail.source_group, mail.sequence, mail.epoch, mail.restored},
                                     std::move(mail.message)});
  };
  p.receipt = [this](const link::outbox_receipt& receipt) {
    if (auto shard = shards.find(receipt.source_group))
      caf::anon_send(
        shard, atom::receipt_v,
        outbox_receipt{receipt.target_group, receipt.sequence, receipt.taken, receipt.epoch});
  };
  p.serve = [this](net::http_request&& request, std::shared_ptr<const principal> who,
                   net::responder to) {
    front->handle_forwarded(std::move(request), std::move(who), std::move(to));
  };
  p.serve_stale = [this](net::http_request&& request, std::shared_ptr<const principal> who,
                         std::int64_t stale_ms, net::responder to) {
    front->handle_stale(std::move(request), std::move(who), stale_ms, std::move(to));
  };
  p.draining = [this] { return draining.load(); };
  p.roles = opts.config.roles;
  p.change = [this](member_change wanted) {
    if (const auto owner = catalog_owner())
      caf::anon_send(owner, atom::member_v, member_request{std::move(wanted), {}, nullptr});
  };
  p.cut = [this](const link::cut_request& request) { cut_here(request.group, request.epoch); };
  p.removed = [this] {
    if (opts.removed)
      opts.removed();
  };
  member = std::make_unique<cluster_member>(std::move(p));
  services->send_away = [this](group_id target, const mail_stamp& stamp,
                               const outbox_message& message) {
    member->send(link::outbox_delivery{stamp.source, target, stamp.sequence, message, stamp.epoch,
                                       stamp.restored});
  };
  services->acknowledge_away = [this](group_id source, group_id target, std::uint64_t sequence,
                                      bool taken, std::uint64_t epoch) {
    member->send(link::outbox_receipt{source, target, sequence, taken, epoch});
  };
  return member->prepare();
}

void node::impl::keep_backups() {
  backup_keeper::parts p;
  p.disk = disk.get();
  p.partitions = services->partitions;
  p.ask_to_cut = [this](group_id group, std::uint64_t epoch) {
    if (!cut_here(group, epoch) && member)
      member->send(link::cut_request{group, epoch});
  };
  if (member)
    p.check_others = [this]() -> status {
      for (const auto& one : member->view().nodes)
        if (!one.version.empty() && one.version != opts.version)
          return error{errc::conflict, one.id + " runs " + one.version + ", this node runs " +
                                         opts.version +
                                         "; take a backup when all run the same version"};
      return ok_status();
    };
  p.wall_now = wall_now;
  p.cluster = opts.config.cluster.name;
  p.node = opts.config.node;
  p.version = opts.version;
  p.feature_level = opts.features.newest;
  backups = std::make_shared<backup_keeper>(std::move(p));
}

status node::impl::start_log() {
  if (member)
    return member->start(*behind);
  std::vector<group_id> groups;
  for (std::uint32_t group = 0; group <= services->partitions; ++group)
    groups.push_back(static_cast<group_id>(group));
  return own_log->start(groups);
}

void node::impl::fill_services() {
  auto& s = *services;
  s.node = opts.config.node;
  s.records = disk.get();
  s.http = http.get();
  s.shards = &shards;
  s.definitions = &definitions;
  s.loopback_allowed = opts.development;
  s.now = wall_now;
  s.behaviour_of = [this](const compiled_agent& spec) { return behaviour_of(spec); };
  s.secret = [this](std::string_view name) { return secrets->secret(name); };
  s.tell = [this](const request_ref& to, answer what) { requests.tell(to, std::move(what)); };
  s.publish = [this](std::shared_ptr<const turn_record> record) { feed.publish(record); };
  s.handler_enters = [this](const agent_name& agent, const run_id& run) {
    handlers->enter(agent, run);
  };
  s.handler_leaves = [this] { handlers->leave(); };
  s.is_suspect = [this](const agent_name& agent) {
    return !suspects.empty() && suspects.contains(agent);
  };
  s.shard_started = [this](group_id) { ++shards_started; };
  s.shard_ended = [this](group_id group, errc why) {
    if (why != errc::not_leader)
      log::error("shard-ended",
                 {{"group", std::to_string(group)}, {"why", std::string{to_string(why)}}});
    shards.remove(group);
    requests.lose(group);
  };
}

status node::impl::listen() {
  net::http_server::options options;
  options.address = opts.config.http.host == "localhost" ? "127.0.0.1" : opts.config.http.host;
  options.port = opts.config.http.port;
  options.body_bytes_max = opts.config.http.body_bytes_max;
  options.header_bytes_max = opts.config.http.header_bytes_max;
  options.connections_max = std::max<std::size_t>(opts.config.http.connections_max, 12'000);
  options.idle_timeout = std::chrono::milliseconds{opts.config.http.idle_ms_max};
  options.refusal = [](unsigned code, std::string_view reason) {
    return gateway::refusal(code, reason);
  };
  if (const auto& tls = opts.config.tls; !tls.cert.empty())
    options.tls = net::http_server::tls_files{tls.cert.string(), tls.key.string()};
  server = std::make_unique<net::http_server>(std::move(options));
  const auto listening = server->start([this](net::http_request&& request, net::responder to) {
    front->handle(std::move(request), std::move(to));
  });
  if (listening.failure == net::listen_failure::tls)
    return error{errc::schema, "`tls`: " + listening.detail};
  if (!listening)
    return error{errc::unavailable, "cannot listen on " + opts.config.http.host + ":" +
                                      std::to_string(opts.config.http.port) + ": " +
                                      listening.detail +
                                      "; choose another with --listen HOST:PORT"};
  return ok_status();
}

gateway_options node::impl::gateway_settings() {
  gateway_options out;
  out.with = services->compile_with;
  out.dedup_ms = opts.config.retention.dedup_ms;
  out.secret = services->secret;
  out.check_model = [this](std::string_view model) -> status {
    if (services->models.contains(model))
      return ok_status();
    if (!opts.config.no_model_hint.empty())
      return error{errc::schema, opts.config.no_model_hint};
    return error{errc::schema, "no model `" + std::string{model} +
                                 "` is configured; add it under `models` in node.yaml"};
  };
  out.offload = [this](std::function<void()> work) { slow->post(std::move(work)); };
  out.digest = sha256;
  out.takes_requests = takes_requests(opts.config.roles);
  if (known_keys.is_on()) {
    out.authenticate = [this](std::string_view token) {
      return known_keys.find(token, wall_now());
    };
    out.still_valid = [this](const principal& who) { return known_keys.holds(who, wall_now()); };
  }
  return out;
}

void node::impl::warn_of_certificate() const {
  constexpr std::int64_t soon_s = 14 * 24 * 3'600;
  const auto expires_s = server->certificate_expires_s();
  if (expires_s && *expires_s - wall_now() / 1'000'000 < soon_s)
    log::warn("certificate-expires", {{"file", opts.config.tls.cert.string()},
                                      {"at", format_time(*expires_s * 1'000'000)}});
}

void node::impl::reload() {
  known_keys.reload();
  if (opts.config.tls.cert.empty())
    return;
  if (const auto reloaded = server->reload_tls(); !reloaded)
    return log::error("certificate-not-reloaded", {{"why", reloaded.detail}});
  log::info("certificate-reloaded", {{"file", opts.config.tls.cert.string()}});
  warn_of_certificate();
}

/// Five times a second; what need not be so often, once in a second.
void node::impl::tick() {
  front->tick();
  if (++ticks_done % 5 != 0)
    return;
  known_keys.look();
  if (const auto refused = front->counters().unauthorised; refused != refusals_told) {
    log::warn("requests-without-key", {{"requests", std::to_string(refused - refusals_told)}});
    refusals_told = refused;
  }
}

node_status node::impl::report() const {
  node_status out;
  out.draining = draining;
  const bool started = member ? member->has_leaders() : shards_started >= services->partitions;
  out.ready = started && !draining;
  out.why_not = draining                         ? "draining"
                : started                        ? ""
                : member && member->is_joining() ? "joining, or no quorum"
                : member                         ? "no quorum"
                                                 : "starting";
  out.node = opts.config.node;
  out.version = opts.version;
  out.started_at_us = static_cast<std::uint64_t>(started_at);
  out.cluster = opts.config.cluster.name;
  if (member)
    out.address = member->address();
  else if (server)
    out.address = opts.config.http.host + ":" + std::to_string(server->port());
  return out;
}

std::vector<metric_value> node::impl::measure() const {
  std::vector<metric_value> out;
  const auto add = [&](const char* name, double value) { out.push_back({name, {}, value}); };
  const auto committed_so_far = services->log->count();
  add("holdfast_log_records_total", static_cast<double>(committed_so_far.records));
  add("holdfast_log_commits_total", static_cast<double>(committed_so_far.groups));
  add("holdfast_log_bytes_total", static_cast<double>(committed_so_far.bytes));
  add("holdfast_log_refused_total", static_cast<double>(committed_so_far.refused));
  add("holdfast_store_reads_total", static_cast<double>(machine.reads()));
  const auto http_counters = server->counters();
  add("holdfast_http_requests_total", static_cast<double>(http_counters.requests));
  add("holdfast_http_connections", static_cast<double>(http_counters.open));
  add("holdfast_http_streams", static_cast<double>(http_counters.streams));
  const auto calls = http->stats();
  add("holdfast_outgoing_calls_total", static_cast<double>(calls.calls));
  add("holdfast_outgoing_calls_active", static_cast<double>(calls.active));
  add("holdfast_requests_waiting", static_cast<double>(requests.size()));
  add("holdfast_stream_subscribers", static_cast<double>(feed.subscribers()));
  if (member)
    member->measure(out);
  if (known_keys.is_on()) {
    add("holdfast_auth_keys", static_cast<double>(known_keys.size()));
    out.push_back({"holdfast_auth_reloads_total", "{result=\"ok\"}",
                   static_cast<double>(known_keys.reloads())});
    out.push_back({"holdfast_auth_reloads_total", "{result=\"failed\"}",
                   static_cast<double>(known_keys.reloads_failed())});
  }
  if (const auto expires_s = server->certificate_expires_s())
    add("holdfast_tls_certificate_expires_seconds", static_cast<double>(*expires_s));
  return out;
}

node::node(options opts) : impl_(std::make_unique<impl>(std::move(opts))) {}

node::~node() { stop(std::chrono::milliseconds{0}); }

status node::start() {
  auto& self = *impl_;
  self.started_at = wall_now();
  if (auto opened = self.open_folder(); !opened)
    return opened;
  self.services->compile_with = standard_compilers();
  self.secrets = std::make_unique<secret_store>(self.opts.config.secrets, self.opts.env);
  auto models = open_models(self.opts.config, self.services->compile_with);
  if (!models)
    return models.error();
  self.services->models = std::move(*models);
  auto known = load_catalog(*self.disk, self.services->compile_with);
  if (!known)
    return known.error();
  self.definitions.set(std::move(*known));
  self.native =
    std::make_unique<native_behaviour>([](std::string_view agent, std::string_view text) {
      log::info("agent-says", {{"agent", std::string{agent}}, {"text", std::string{text}}});
    });
  self.http = std::make_unique<net::http_client>(net::http_client::options{});
  self.fill_services();
  self.actor_settings = std::make_unique<actor_config>();
  self.actors = std::make_unique<caf::actor_system>(*self.actor_settings);
  self.slow = std::make_unique<worker_thread>();
  if (self.opts.config.cluster.is_alone()) {
    self.own_log = std::make_unique<local_log>(*self.disk, self.machine, self);
    self.services->log = self.own_log.get();
  } else {
    if (auto joined = self.join_cluster(); !joined)
      return joined;
    self.services->log = &self.member->log();
  }
  self.keep_backups();
  local_backend::parts behind;
  behind.backups = self.backups.get();
  behind.services = self.services;
  behind.requests = &self.requests;
  behind.feed = &self.feed;
  behind.catalog = [&self] { return self.catalog_owner(); };
  behind.status = [&self] { return self.report(); };
  behind.metrics = [&self] { return self.measure(); };
  if (self.member) {
    behind.others = self.member->others();
    behind.member = self.member.get();
  }
  self.behind = std::make_unique<local_backend>(std::move(behind));
  self.front = std::make_unique<gateway>(*self.behind, self.gateway_settings());
  if (auto started = self.start_log(); !started)
    return started;
  if (auto listening = self.listen(); !listening)
    return listening;
  self.ticks = std::make_unique<ticker>(std::chrono::milliseconds{200}, [&self] { self.tick(); });
  const auto& kept = self.opts.config.retention;
  if (const retention_config usual; kept.history_ms != usual.history_ms ||
                                    kept.events_ms != usual.events_ms ||
                                    kept.streams_ms != usual.streams_ms)
    log::warn(
      "retention-not-available",
      {{"why", "history, events and streams are kept for good in this release; `dedup` holds"}});
  log::info("node-started", {{"node", self.opts.config.node},
                             {"port", std::to_string(self.server->port())},
                             {"partitions", std::to_string(self.services->partitions)}});
  self.warn_of_certificate();
  if (self.known_keys.is_on() && self.known_keys.size() == 0)
    log::warn("no-api-keys",
              {{"file", self.opts.config.auth.file.string()},
               {"why", "nobody can do anything; `holdfast auth key create` makes one"}});
  return ok_status();
}

void node::stop(std::chrono::milliseconds limit) {
  auto& self = *impl_;
  self.draining = true;
  if (self.backups)
    self.backups->stop();
  if (self.server) {
    self.server->drain();
    self.server->wait_drained(limit);
    self.ticks.reset();
    self.server->stop();
  }
  if (self.member)
    self.member->stop(limit);
  if (self.own_log)
    self.own_log->stop();
  if (self.slow)
    self.slow->stop();
  for (const auto& shard : self.shards.all())
    caf::anon_send_exit(shard, caf::exit_reason::user_shutdown);
  self.shards.clear();
  {
    const std::lock_guard lock{self.catalogue_mutex};
    if (self.catalogue)
      caf::anon_send_exit(self.catalogue, caf::exit_reason::user_shutdown);
    self.catalogue = catalog_actor{};
  }
  self.http.reset();  // cancels calls: their actors end
  self.actors.reset();
  self.requests.end();
  self.front.reset();
  self.server.reset();
  self.disk.reset();
}

void node::reload() {
  if (impl_->server)
    impl_->reload();
}

std::string node::own_token() {
  if (!impl_->known_keys.is_on())
    return {};
  auto token = impl_->known_keys.add_own("dev", key_role::developer);
  return token ? std::move(*token) : std::string{};
}

std::uint16_t node::port() const noexcept { return impl_->server ? impl_->server->port() : 0; }

backend& node::inside() noexcept { return *impl_->behind; }

}  // namespace holdfast
