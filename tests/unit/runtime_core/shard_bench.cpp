#include "tests/unit/runtime_core/shard_bench.hpp"

namespace holdfast::testing {

/// One shard and its agents, for one term.
class shard_bench::host final : public shard_host {
public:
  host(shard_bench& node, group_id group, std::uint64_t term)
    : node_(node), group_(group), term_(term) {
    shard_options options;
    options.group = group;
    options.partitions = node.partitions;
    options.term = term;
    options.waiters_max = 4;
    core.emplace(options, node.disk, *this);
  }

  time_us now() override { return node_.now; }
  std::shared_ptr<const catalog> definitions() override { return node_.lends.context.definitions; }
  status propose(std::shared_ptr<const turn_record> record) override {
    return node_.log->propose(group_, term_, std::move(record));
  }
  void give(const agent_name& to, agent_work work) override {
    works.emplace_back(to, std::move(work));
  }
  void passivate(const agent_name& who) override {
    agents_.erase(who);
    node_.passivated.insert(who);
  }
  void start_effect(const agent_name& of, const effect_state& effect) override {
    node_.started.push_back({of, effect});
  }
  void stop_effect(const agent_name&, std::uint32_t effect_no) override {
    node_.stopped.push_back(effect_no);
  }
  void send(group_id target, const mail_stamp& stamp, const outbox_message& message) override {
    if (!node_.lose_mail)
      node_.mails.push_back({target, stamp, message});
  }
  void acknowledge(group_id source, group_id target, std::uint64_t sequence, bool taken,
                   std::uint64_t epoch) override {
    node_.receipts.push_back({source, target, sequence, taken, epoch});
  }
  void tell(const request_ref& to, answer what) override {
    if (to.id != 0)
      node_.told[to.id].push_back(std::move(what));
  }
  void publish(std::shared_ptr<const turn_record>) override {}
  void wake_at(time_us due) override { wake = wake == 0 ? due : std::min(wake, due); }
  void ended(errc why) override { node_.shards_ended.push_back(why); }

  bool work() {
    if (works.empty() || core->is_ended())
      return false;
    auto [name, todo] = std::move(works.front());
    works.pop_front();
    auto& one = agents_[name];
    if (!one) {
      agent_state state;
      state.name = name;
      if (auto stored = load_agent(node_.disk, group_, name); stored && *stored)
        state = std::move(**stored);
      one = std::make_unique<agent_core>(std::move(state));
    }
    if (todo.previous == agent_work::verdict::committed)
      one->committed();
    else if (todo.previous == agent_work::verdict::discarded)
      one->discarded();
    auto context = node_.lends.context;
    context.now = node_.now;
    context.term = term_;
    context.group = group_;
    context.partitions = node_.partitions;
    context.random = ++random_;
    core->decided(
      one->take(std::move(todo.commands), context, stored_records{node_.disk, group_, name}));
    return true;
  }

  std::optional<shard_core> core;
  std::deque<std::pair<agent_name, agent_work>> works;
  time_us wake = 0;

private:
  shard_bench& node_;
  group_id group_;
  std::uint64_t term_;
  std::uint64_t random_ = 0;
  std::map<agent_name, std::unique_ptr<agent_core>> agents_;
};

shard_bench::shard_bench(std::uint16_t partition_count)
  : partitions(partition_count), lends(llm_agent("llm")) {
  lends.native.call = [](turn_builder& turn, const compiled_agent&, const trigger& t) {
    complete_run(turn, t.arrived.data.empty() ? "null" : t.arrived.data);
  };
  lends.define(native_agent("echo"));
  machine = std::make_unique<fact_machine>(4'096, test_digest);
  log = std::make_unique<memory_log>(disk, *machine, *this);
  start();
}

shard_bench::~shard_bench() = default;

void shard_bench::start() {
  log->on_propose = [this](group_id, const turn_record&) { return log_says; };
  for (group_id group = 1; group <= partitions; ++group)
    if (!hosts_.contains(group))
      REQUIRE(log->lead(group));
  run();
}

void shard_bench::restart() {
  hosts_.clear();
  mails.clear();
  receipts.clear();
  log->crash();
  machine = std::make_unique<fact_machine>(4'096, test_digest);
  log = std::make_unique<memory_log>(disk, *machine, *this);
  start();
}

void shard_bench::leading(group_id group, std::uint64_t term) {
  auto& made = hosts_[group] = std::make_unique<host>(*this, group, term);
  made->core->start();
}

void shard_bench::committed(group_id group, std::uint64_t, std::uint64_t index,
                            std::vector<std::shared_ptr<const turn_record>> records) {
  committed_records.insert(committed_records.end(), records.begin(), records.end());
  host_of(group).core->committed(index, records);
}

void shard_bench::lost(group_id group, std::uint64_t, errc) { hosts_.erase(group); }

shard_bench::host& shard_bench::host_of(group_id group) {
  REQUIRE(hosts_.contains(group));
  return *hosts_.at(group);
}

void shard_bench::run() {
  for (bool busy = true; busy;) {
    busy = false;
    for (auto& [group, one] : hosts_)
      while (one->work())
        busy = true;
    if (const auto stepped = log->step(); stepped && *stepped != 0)
      busy = true;
    while (!hold_mail && !mails.empty()) {
      const auto one = mails.front();
      mails.pop_front();
      host_of(one.target).core->inbound(one.stamp, one.message);
      busy = true;
    }
    while (!hold_mail && !receipts.empty()) {
      const auto one = receipts.front();
      receipts.pop_front();
      host_of(one.source).core->acknowledged(one.target, one.sequence, one.taken, one.epoch);
      busy = true;
    }
  }
}

void shard_bench::advance(time_us by) {
  const time_us until = now + by;
  for (;;) {
    host* next = nullptr;
    for (auto& [group, one] : hosts_)
      if (one->wake != 0 && one->wake <= until && (next == nullptr || one->wake < next->wake))
        next = one.get();
    if (next == nullptr)
      break;
    now = std::max(now, next->wake);
    next->wake = 0;
    next->core->tick();
    run();
  }
  now = until;
}

std::optional<idempotency> shard_bench::once_of(const std::string& key,
                                                const std::string& body) const {
  if (key.empty())
    return std::nullopt;
  return idempotency{digest_of({key}), body.empty() ? digest128{} : digest_of({body}),
                     now + 60'000'000};
}

std::uint64_t shard_bench::submit(const agent_name& to, command cmd, std::string once,
                                  std::string body, bool until_end) {
  const auto id = ++requests_;
  shard_of(to).submit(to, {std::move(cmd), {1, id}, until_end, once_of(once, body), {}});
  return id;
}

std::uint64_t shard_bench::send(const agent_name& to, std::string once, std::string body,
                                bool until_end) {
  deliver_event cmd;
  cmd.event = event_of("go");
  cmd.verified = "none";
  return submit(to, std::move(cmd), std::move(once), std::move(body), until_end);
}

std::uint64_t shard_bench::route(event e, std::string once) {
  const auto id = ++requests_;
  const auto home =
    group_of(std::string_view{once.empty() ? e.source + "\n" + e.id : once}, partitions);
  host_of(home).core->route(std::move(e), "none", once_of(once, "body"), {1, id});
  return id;
}

std::uint64_t shard_bench::ask_for_end(const agent_name& of, const run_id& run_of) {
  const auto id = ++requests_;
  shard_of(of).wait_for(run_of, {1, id});
  return id;
}

std::string test_digest(std::string_view bytes) { return to_hex(digest_of({bytes})); }

std::uint64_t shard_bench::settle(const event_id& letter, bool redrive) {
  const auto id = ++requests_;
  host_of(letter.id.group()).core->settle_dead_letter(letter, redrive, {1, id});
  return id;
}

std::uint64_t shard_bench::control_by(const agent_name& to, control cmd, audit_recorded audit) {
  const auto id = ++requests_;
  shard_of(to).submit(to, {std::move(cmd),
                           {1, id},
                           false,
                           {},
                           {},
                           std::make_shared<const audit_recorded>(std::move(audit))});
  return id;
}

std::uint64_t shard_bench::route_as(event e, const event_sender& sender) {
  const auto id = ++requests_;
  const auto home = group_of(std::string_view{e.source + "\n" + e.id}, partitions);
  host_of(home).core->route(std::move(e), "none", {}, {1, id}, sender);
  return id;
}

std::uint64_t shard_bench::fork(const agent_name& from, seq_no at, const agent_name& to) {
  const auto id = ++requests_;
  shard_of(from).fork(from, at, to, {1, id});
  return id;
}

shard_core& shard_bench::shard_of(const agent_name& name) {
  return *host_of(group_of(name, partitions)).core;
}

agent_state shard_bench::stored(const agent_name& name) const {
  auto found = load_agent(disk, group_of(name, partitions), name);
  REQUIRE(found);
  agent_state none;
  none.name = name;
  return *found ? **found : none;
}

std::size_t shard_bench::count_of(const char* fact_name) const {
  std::size_t count = 0;
  for (const auto& record : committed_records)
    for (const auto& f : record->facts)
      count += name_of(f) == fact_name ? 1 : 0;
  return count;
}

void shard_bench::finish(const effect_state& effect, const agent_name& of, attempt_outcome what) {
  shard_of(of).submit(
    of,
    {complete_effect{effect.run, effect.no, effect.attempt, std::move(what)}, {}, false, {}, {}});
  run();
}

}  // namespace holdfast::testing
