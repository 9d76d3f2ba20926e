#include "cluster/node.hpp"

#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "cluster/node_impl.hpp"
#include "cluster/restore.hpp"
#include "persistence/keys.hpp"
#include "persistence/rocksdb_store.hpp"
#include "runtime/definition/compilers.hpp"
#include "runtime/definition/yaml_json.hpp"
#include "runtime/host/log.hpp"

namespace holdfast {

time_us wall_now() {
  return std::chrono::duration_cast<std::chrono::microseconds>(
           std::chrono::system_clock::now().time_since_epoch())
    .count();
}

namespace {

constexpr unsigned ticks_between_certificates = 5 * 3'600 * 12;  // of 200 ms

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
    services->partitions = opts.config.cluster.partitions.value_or(partitions_default);
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

const behaviour* node::impl::behaviour_of(const compiled_agent& spec) const {
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
  s.shard_ended = [this](const shard_actor& shard, group_id group, errc why) {
    if (why != errc::not_leader)
      log::error("shard-ended",
                 {{"group", std::to_string(group)}, {"why", std::string{to_string(why)}}});
    if (shards.remove(group, shard))
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
  out.body.bytes_max = opts.config.http.body_bytes_max;
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

void node::impl::reload() {
  known_keys.reload();
  if (member)
    member->reload_certificates();
  if (!opts.config.tls.cert.empty()) {
    if (const auto reloaded = server->reload_tls(); !reloaded)
      log::error("certificate-not-reloaded", {{"why", reloaded.detail}});
    else
      log::info("certificate-reloaded", {{"file", opts.config.tls.cert.string()}});
  }
  warn_of_certificates();
}

/// Five times a second; what need not be so often, once in a second.
void node::impl::tick() {
  front->tick();
  if (++ticks_done % 5 != 0)
    return;
  known_keys.look();
  if (ticks_done % ticks_between_certificates == 0)
    warn_of_certificates();
  if (const auto refused = front->counters().unauthorised; refused != refusals_told) {
    log::warn("requests-without-key", {{"requests", std::to_string(refused - refusals_told)}});
    refusals_told = refused;
  }
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
  self.warn_of_certificates();
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
