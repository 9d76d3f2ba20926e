#include "tests/sim/simulation.hpp"

#include <algorithm>
#include <cstdio>

#include "runtime/core/membership.hpp"

namespace holdfast::sim {

namespace {

constexpr time_us second = 1'000'000;

template <class T>
bool is_put_of(const write_op& op, T in) {
  return op.in == in && op.what == write_op::kind::put;
}

}  // namespace

std::string describe(group_id group, const turn_record& record) {
  std::string line =
    "record of group " + std::to_string(group) + " " + to_string(record.agent) + ":";
  for (const auto& f : record.facts)
    line.append(" ").append(name_of(f));
  return line;
}

/// Applies, and remembers what is to be told to the history once it is written.
class simulation::machine_of_node final : public state_machine {
public:
  explicit machine_of_node(simulation& world) : world_(world) {}

  void apply(const reader& view, group_id group, std::uint64_t index,
             std::span<const std::shared_ptr<const turn_record>> records, write_set& out) override {
    std::vector<std::shared_ptr<const turn_record>> taken(records.begin(), records.end());
    for (const auto& record : taken)
      pending.emplace_back(group, record);
    for (auto& record : taken)
      record = spoiled(record);
    inner_.apply(view, group, index, taken, out);
    if (world_.plan.planted == defect::entry_applied_twice && world_.random.chance(20))
      inner_.apply(view, group, index, taken, out);
  }

  std::vector<std::pair<group_id, std::shared_ptr<const turn_record>>> pending;

private:
  std::shared_ptr<const turn_record> spoiled(const std::shared_ptr<const turn_record>& record) {
    const auto without = [&]<class T>(const T*) {
      auto copy = std::make_shared<turn_record>(*record);
      std::erase_if(copy->facts, [](const fact& f) { return std::holds_alternative<T>(f); });
      return std::shared_ptr<const turn_record>{std::move(copy)};
    };
    switch (world_.plan.planted) {
      case defect::lost_dedup_record:
        return without(static_cast<const idempotency_recorded*>(nullptr));
      case defect::inbound_dedup_lost:
        return without(static_cast<const inbound_accepted*>(nullptr));
      case defect::evolve_skips_fact: {
        auto copy = std::make_shared<turn_record>(*record);
        for (auto& f : copy->facts)
          if ((std::holds_alternative<effect_started>(f) ||
               std::holds_alternative<cancel_requested>(f)) &&
              world_.random.chance(200))
            f = forked{};
        return copy;
      }
      default:
        return record;
    }
  }

  simulation& world_;
  fact_machine inner_{64, chain_digest_of};  // few, so that states are read back
};

status simulation::disk_of_node::write(const write_set& writes, bool durable) {
  const write_set* what = &writes;
  write_set spoiled;
  const auto planted = world_.plan.planted;
  if (planted == defect::timer_key_lost || planted == defect::timer_key_kept) {
    for (const auto& op : writes.ops()) {
      const bool hit = op.in == family::timer && world_.random.chance(100) &&
                       is_put_of(op, family::timer) == (planted == defect::timer_key_lost);
      if (hit)
        continue;
      if (op.what == write_op::kind::put)
        spoiled.put(op.in, op.key, op.value);
      else if (op.what == write_op::kind::erase)
        spoiled.erase(op.in, op.key);
      else
        spoiled.single_erase(op.in, op.key);
    }
    what = &spoiled;
  }
  const auto fated = std::exchange(next, fate::lands);
  const bool synced = durable && fated != fate::sync_lost &&
                      !(planted == defect::unsynced_commit && world_.random.chance(100));
  const auto pending = std::exchange(world_.machine_->pending, {});
  const error failed{errc::io_failure, "the disk is broken"};
  if (fated == fate::refused)
    return failed;
  if (auto written = inner.write(*what, synced); !written)
    return written;
  if (fated == fate::sync_lost)
    return failed;  // the crash that follows takes it back
  for (const auto& [group, record] : pending) {
    if (world_.plan.trace)
      world_.say("  durable: ", describe(group, *record));
    world_.past.take(group, *record, inner, *world_.definitions);
  }
  if (fated == fate::sync_kept)
    return failed;
  return ok_status();
}

simulation::simulation(plan_of_seed its_plan, coverage& counts)
  : plan(its_plan),
    random(its_plan.seed),
    seen(counts),
    past(counts, partitions),
    sinks(random, past, counts),
    users(*this),
    deciders(handlers),
    definitions(make_catalog(1)),
    disk(*this) {
  machine_ = std::make_unique<machine_of_node>(*this);
  log_ = std::make_unique<memory_log>(disk, *machine_, *this);
  handlers.throws = [this] { return may(250, fault::handler_throws); };
  // Some seeds are quiet, some have one kind of trouble, most have all of it.
  const auto mood = random.below(10);
  const auto level = [&](unsigned most) {
    return mood == 0                        ? 0U
           : mood < 4 && random.chance(600) ? 0U
                                            : static_cast<unsigned>(random.below(most));
  };
  rates_.mail = level(250);
  rates_.log = level(40);
  rates_.process = level(7);
  rates_.clock = level(150);
  rates_.handler = level(1'000);
  sinks.trouble = level(500);
}

simulation::~simulation() = default;

void simulation::say_line(const std::string& line) const {
  std::fprintf(stderr, "%10lld %s\n", static_cast<long long>(now - 1'800'000'000'000'000),
               line.c_str());
}

bool simulation::may(unsigned per_mille, fault what) {
  unsigned rate = per_mille;
  if (what == fault::crash_in_handler)
    rate = rates_.process == 0 ? 0 : per_mille;
  else if (what == fault::handler_throws)
    rate = rates_.handler == 0 ? 0 : per_mille;
  if (healed || rate == 0 || !random.chance(rate))
    return false;
  seen.count(what);
  return true;
}

// ---- the log ------------------------------------------------------------------------------------

status simulation::propose(process& by, std::shared_ptr<const turn_record> record) {
  const group_id group = by.group;
  // A flood fills the log, so that also what goes on with what was accepted meets a full one.
  const bool flooded =
    !healed && rates_.log != 0 && record->agent.key == clients::flooded_key && random.chance(250);
  if (flooded || now < overloaded_until_[group]) {
    seen.count(fault::log_overloaded);
    return error{errc::overloaded, "full"};
  }
  if (!healed && random.chance(rates_.log)) {
    const auto which = random.below(100);
    if (which < 70) {
      overloaded_until_[group] = now + static_cast<time_us>(random.below(20'000));
      seen.count(fault::log_overloaded);
      return error{errc::overloaded, "full"};
    }
    if (which < 80) {
      seen.count(fault::log_not_leader);
      deposed_apply_[group] = random.chance(500);
      return error{errc::not_leader, "elsewhere"};
    }
    if (which < 90) {
      seen.count(fault::log_unknown_applied);
      deposed_apply_[group] = true;
      (void)bool{log_->propose(group, by.term, std::move(record))};
    } else {
      seen.count(fault::log_unknown_dropped);
      deposed_apply_[group] = false;
    }
    return error{errc::unknown_outcome, "who knows"};
  }
  return log_->propose(group, by.term, std::move(record));
}

void simulation::leading(group_id group, std::uint64_t term) {
  if (group == catalog_group) {
    catalog_term_ = term;
    return;
  }
  say("group ", std::to_string(group), " is led in term ", std::to_string(term));
  groups_[group] = std::make_unique<process>(*this, group, term, ++processes_);
  auto& started = *groups_[group];
  started.core->start();
  if (handler_running && group_of(handler_running->first, partitions) == group) {
    started.core->count_crash(handler_running->first, handler_running->second);
    handler_running.reset();
  }
}

void simulation::committed(group_id group, std::uint64_t term, std::uint64_t index,
                           std::vector<std::shared_ptr<const turn_record>> records) {
  if (group == catalog_group) {
    for (const auto& record : records)
      for (const auto& f : record->facts)
        if (const auto* applied = std::get_if<definition_applied>(&f))
          definitions = make_catalog(applied->version);
    return;
  }
  if (auto* to = find(group); to != nullptr && to->term == term && !to->over)
    to->commits.push_back({index, std::move(records)});
}

void simulation::lead_one() {
  std::vector<group_id> free;
  if (catalog_term_ == 0)
    free.push_back(catalog_group);
  for (group_id group = 1; group <= partitions; ++group)
    if (!groups_[group])
      free.push_back(group);
  const auto group = random.pick(free);
  deposed_apply_[group] = false;
  require(bool{log_->lead(group)}, "a group cannot be led");
}

void simulation::define(std::uint32_t versions) {
  if (catalog_term_ == 0)
    return;
  change_members(versions);
  auto record = std::make_shared<turn_record>();
  record->at = now;
  record->facts.push_back(definition_applied{"agent", "llm", versions, "{}", "sim"});
  require(bool{log_->propose(catalog_group, catalog_term_, std::move(record))},
          "group 0 takes no record");
}

/// As the catalogue does: one change after the other, decided on what is applied.
void simulation::change_members(std::uint32_t turn) {
  if (log_->queued(catalog_group) != 0)
    return;
  const auto known = load_cluster_state(disk);
  require(bool{known}, "the members cannot be read");
  const auto& nodes = known->nodes;
  require(nodes.empty() || count_other_workers(nodes, {}) != 0, "a cluster that owns nothing");
  const auto number = std::to_string(turn);
  member_change wanted = form_cluster{{{"n1", "h1:1"}, {"n2", "h2:1"}, {"n3", "h3:1"}}};
  const auto some_node = [&] { return std::next(nodes.begin(), turn % nodes.size())->first; };
  if (!nodes.empty() && turn % 5 == 0)
    wanted = remove_node{some_node()};
  else if (!nodes.empty() && turn % 5 == 1)
    wanted = change_roles{some_node(), turn % 2 == 0 ? node_roles::gateway : node_roles::worker};
  else if (!nodes.empty() && turn % 5 == 3)
    wanted = set_replication{turn % 4 + 1};
  else if (!nodes.empty())
    wanted = add_node{"n" + number, "h" + number + ":1", "folder of " + number};
  auto facts = decide(*known, wanted);
  if (!facts || facts->empty())
    return;
  auto record = std::make_shared<turn_record>();
  record->at = now;
  record->facts = std::move(*facts);
  require(bool{log_->propose(catalog_group, catalog_term_, std::move(record))},
          "group 0 takes no record");
}

void simulation::step_log() {
  std::vector<group_id> queued;
  for (group_id group = 0; group <= partitions; ++group)
    if (log_->queued(group) != 0)
      queued.push_back(group);
  if (!healed && random.chance(rates_.process) && random.chance(300)) {
    static const std::vector<std::pair<fault, disk_of_node::fate>> fates{
      {fault::write_refused, disk_of_node::fate::refused},
      {fault::sync_failed_lost, disk_of_node::fate::sync_lost},
      {fault::sync_failed_kept, disk_of_node::fate::sync_kept}};
    const auto& [what, fate] = random.pick(fates);
    seen.count(what);
    disk.next = fate;
  }
  const auto records = random.chance(700) ? memory_log::unlimited : 1 + random.below(3);
  if (!log_->step_group(random.pick(queued), records))
    crash();  // an error of the store ends the process
}

// ---- processes ----------------------------------------------------------------------------------

void simulation::bring_down(group_id group, bool apply_queued) {
  auto& one = groups_[group];
  one->over = true;
  say("group ", std::to_string(group), " goes down");
  if (apply_queued && random.chance(400)) {  // a part of it
    require(bool{log_->step_group(group, 1 + random.below(3))}, "a group cannot commit");
    apply_queued = random.chance(500);
  }
  require(bool{log_->depose(group, apply_queued)}, "a group cannot be deposed");
  one->die();
  users.forget(one->id);
  one.reset();
}

/// Shards that said that they are over, and a process that is to die.
void simulation::reap() {
  if (crash_wanted_) {
    crash_wanted_ = false;
    say("CRASH");
    machine_->pending.clear();
    for (auto& one : groups_)
      if (one) {
        one->die();
        users.forget(one->id);
        one.reset();
      }
    log_->crash();
    disk.inner.crash();
    machine_ = std::make_unique<machine_of_node>(*this);
    log_ = std::make_unique<memory_log>(disk, *machine_, *this);
    catalog_term_ = 0;
    // What was on its way between nodes may still arrive.
    std::erase_if(mails_, [&](const mail_item&) { return random.chance(500); });
    std::erase_if(receipts_, [&](const receipt_item&) { return random.chance(500); });
    suspects.clear();
    if (handler_running)
      suspects.insert(handler_running->first);
    handlers.exploded = false;
  }
  for (group_id group = 1; group <= partitions; ++group)
    if (groups_[group] && groups_[group]->over)
      bring_down(group, deposed_apply_[group]);
}

void simulation::crash(bool in_handler) {
  crash_wanted_ = true;
  if (!in_handler)
    handler_running.reset();
}

// ---- messages between shards --------------------------------------------------------------------

void simulation::mail(group_id target, const mail_stamp& stamp, const outbox_message& message) {
  mails_.push_back({target, stamp, message});
}

void simulation::receipt(group_id source, group_id target, std::uint64_t sequence, bool taken,
                         std::uint64_t epoch) {
  receipts_.push_back({source, target, sequence, taken, epoch});
}

void simulation::deliver_mail() {
  auto one = take_from(mails_, random.below(mails_.size()));
  if (may(rates_.mail, fault::mail_lost))
    return;
  if (may(rates_.mail / 2, fault::mail_twice))
    mails_.push_back(one);
  if (auto* to = find(one.target)) {
    say("mail ", std::to_string(one.stamp.source), " to ", std::to_string(one.target), " no ",
        std::to_string(one.stamp.sequence), " for ", to_string(one.message.target));
    to->core->inbound(one.stamp, std::move(one.message));
  }
}

void simulation::deliver_receipt() {
  const auto one = take_from(receipts_, random.below(receipts_.size()));
  if (may(rates_.mail, fault::receipt_lost))
    return;
  if (auto* to = find(one.source))
    to->core->acknowledged(one.target, one.sequence, one.taken, one.epoch);
}

// ---- time and trouble ---------------------------------------------------------------------------

bool simulation::pass_time() {
  time_us next = 0;
  for (const auto& one : groups_)
    if (one)
      if (const auto due = one->next_due(); due != 0 && (next == 0 || due < next))
        next = due;
  if (next == 0)
    return false;
  now = std::max(now + 1, next);
  return true;
}

void simulation::turn_clock() {
  if (random.chance(rates_.clock)) {
    if (random.chance(500)) {
      seen.count(fault::clock_back);
      now -= random.between(1, 8 * second);
    } else {
      seen.count(fault::clock_far_ahead);
      now += random.between(second, 3'600 * second);
    }
    return;
  }
  if (!pass_time())
    now += random.between(1, second);
}

void simulation::break_something() {
  if (!random.chance(rates_.process))
    return;
  const auto which = random.below(100);
  if (which < 30) {
    seen.count(fault::crash);
    crash();
    return;
  }
  const auto group = static_cast<group_id>(1 + random.below(partitions));
  if (!groups_[group])
    return;
  const bool apply = random.chance(500);
  seen.count(apply ? fault::leader_lost_applied : fault::leader_lost_dropped);
  bring_down(group, apply);
}

}  // namespace holdfast::sim
