#include "cluster/replicated_log.hpp"

#include <algorithm>
#include <ctime>

#include "persistence/kill_point.hpp"
#include "schemas/codec.hpp"

namespace holdfast {

namespace {

/// Counts sleep of the machine too: a lease that was slept through is over.
std::uint64_t steady_now_ms() noexcept {
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1000 +
         static_cast<std::uint64_t>(now.tv_nsec) / 1'000'000;
}

}  // namespace

replicated_log::replicated_log(store& into, state_machine& machine, commit_listener& listener,
                               consensus_peers& peers, snapshot_exchange& snapshots,
                               replicated_log_options options, fail_stop on_failure)
  : store_(into),
    machine_(machine),
    listener_(listener),
    peers_(peers),
    snapshots_(snapshots),
    options_(std::move(options)),
    on_failure_(on_failure ? std::move(on_failure) : end_process),
    inbox_(options_.queue_records_max, options_.queue_bytes_max, options_.inbox_messages_max) {}

replicated_log::~replicated_log() { stop(); }

status replicated_log::start(const std::map<group_id, consensus::configuration>& groups) {
  host_ = std::make_unique<consensus::raft_host>(options_.host);
  now_ms_ = steady_now_ms();
  std::map<group_id, consensus::stored_group> found;
  write_set created;
  for (const auto& [group, members] : groups) {
    auto& g = groups_[group];
    auto loaded = consensus::load(store_, group);
    if (!loaded)
      return loaded.error();
    auto& stored = loaded->stored;
    g.stored = std::move(loaded->range);
    const bool is_new =
      stored.hard == consensus::hard_state{} && stored.entries.empty() && !stored.snapshot;
    if (is_new && !members.members.empty()) {
      stored = consensus::new_group(members);
      consensus::log_write first;
      first.group = group;
      first.hard = stored.hard;
      first.first = stored.first_index;
      first.entries = stored.entries;
      consensus::erase_budget none{0};
      consensus::put(first, g.stored, created, none);
    }
    g.applied = stored.applied;
    found.emplace(group, std::move(stored));
  }
  if (!created.empty())
    if (auto written = store_.write(created, true); !written)
      return written;
  if (!groups_.empty())
    published_.prepare(std::size_t{groups_.rbegin()->first} + 1);
  for (auto& [group, stored] : found)
    if (auto started = host_->start(now_ms_, group, stored); !started)
      return started;
  kill_point("recovery.after");
  publish();
  thread_ = std::thread{[this] { run(); }};
  return ok_status();
}

void replicated_log::stop() {
  inbox_.stop();
  if (thread_.joinable())
    thread_.join();
  published_.lose_all();
}

// ---- any thread ------------------------------------------------------------------------------------------------------

status replicated_log::propose(group_id group, std::uint64_t term,
                               std::shared_ptr<const turn_record> record) {
  return inbox_.propose(group, term, std::move(record));
}

bool replicated_log::leads(group_id group, std::uint64_t term) const noexcept {
  const auto until = published_.lease_until_ms(group, term);
  return until != 0 && steady_now_ms() < until;
}

bool replicated_log::leads(group_id group) const noexcept {
  const auto until = published_.lease_until_ms(group);
  return until != 0 && steady_now_ms() < until;
}

commit_log::counters replicated_log::count() const noexcept {
  return {records_, writes_made_, bytes_, inbox_.refused()};
}

void replicated_log::receive(consensus::node_id from, std::vector<codec::group_message> messages,
                             std::shared_ptr<void> held) {
  inbox_.receive({from, std::move(messages), std::move(held)});
}

void replicated_log::post(log_inbox::task what) { inbox_.post(std::move(what)); }

std::vector<group_standing> replicated_log::standings() const { return published_.standings(); }

consensus::node_id replicated_log::leader_of(group_id group) const noexcept {
  return published_.leader_of(group);
}

std::uint64_t replicated_log::applied(group_id group) const noexcept {
  return published_.applied(group);
}

std::int64_t replicated_log::leaderless_ms(group_id group) const noexcept {
  return published_.leaderless_ms(group, steady_now_ms());
}

// ---- the log's thread ------------------------------------------------------------------------------------------------

void replicated_log::run() {
  log_inbox::batch taken;
  if (!drain())
    return;
  while (inbox_.next(taken, until_tick())) {
    take(taken);
    if (!drain())
      return;
  }
}

std::chrono::milliseconds replicated_log::until_tick() const {
  const auto now = steady_now_ms();
  const auto due = std::min(tick_at_ms_, host_->tick_due_ms());
  return std::chrono::milliseconds{now < due ? due - now : 0};
}

void replicated_log::take(log_inbox::batch& taken) {
  now_ms_ = steady_now_ms();
  if (now_ms_ >= std::min(tick_at_ms_, host_->tick_due_ms()))
    host_->tick(now_ms_);  // first of all, should the process have been held up
  if (now_ms_ >= tick_at_ms_) {
    tick_at_ms_ = now_ms_ + options_.tick_ms;
    for (auto& [group, g] : groups_) {
      propose_first(group, g);
      propose_waiting(group, g);
    }
    publish();
    erase_leftovers();
    offer_again();
  }
  for (auto& one : taken.messages)
    for (const auto& [group, body] : one.messages)
      // Nothing has changed when it is refused: what no correct peer sends is as good as lost.
      (void)host_->receive(now_ms_, group, one.from, body);
  for (auto& what : taken.tasks)
    what(*host_, now_ms_);
  std::vector<group_id> touched;
  for (auto& one : taken.proposals) {
    auto& waiting = groups_.at(one.group).proposals;
    if (waiting.next() == nullptr)
      touched.push_back(one.group);
    waiting.wait(std::move(one));
  }
  for (const auto group : touched)
    propose_waiting(group, groups_.at(group));
  taken.clear();
}

/// What left the log by the thousands is erased a part at a time, also in groups that nobody writes to.
void replicated_log::erase_leftovers() {
  consensus::erase_budget budget;
  for (auto& [group, g] : groups_)
    if (!g.stored.leftovers.empty() && budget.left > 0)
      consensus::erase_leftovers(group, g.stored, writes_, budget);
  if (writes_.empty())
    return;
  if (auto written = store_.write(writes_, false); !written)
    fail(written.error());
  writes_.clear();
}

/// One entry holds all that gathered, up to its bound. What the host has no room for waits: it was taken.
void replicated_log::propose_waiting(group_id group, group_log& g) {
  while (const auto* next = g.proposals.next()) {
    if (!g.listening || next->term != g.led_term) {
      release(g.proposals.drop_waiting(g.listening ? g.led_term : 0));
      continue;
    }
    auto packed = g.proposals.pack(options_.entry_bytes_max);
    const auto index =
      host_->propose(now_ms_, group, g.led_term,
                     std::make_shared<const std::string>(codec::encode_entry(packed.records)));
    if (!index)
      return;  // overloaded: again with the next tick; not the leader: `lost` follows
    g.proposals.appended(*index, std::move(packed));
  }
}

void replicated_log::release(const group_proposals::dropped& what) {
  inbox_.release(what.records, what.bytes);
}

/// An empty entry of the new term: when it is applied, so is everything that earlier terms have left.
void replicated_log::propose_first(group_id group, group_log& g) {
  if (g.led_term == 0 || g.first_own != 0)
    return;
  if (auto index = host_->propose(now_ms_, group, g.led_term,
                                  std::make_shared<const std::string>(codec::encode_entry({}))))
    g.first_own = *index;
}

/// As long as handling one output makes another. False: the store failed.
bool replicated_log::drain() {
  for (;;) {
    auto out = host_->take();
    if (!out.batch && out.messages.empty() && out.events.empty())
      return true;
    send(out.messages);
    if (out.batch && !write(*out.batch))
      return false;
    if (!handle(out.events))
      return false;
  }
}

/// What does not wait for a batch leaves before the batch is written: followers sync while the leader does.
void replicated_log::send(std::vector<consensus::outgoing>& messages) {
  bool publishes = false;
  for (auto& m : messages) {
    publishes = publishes || std::holds_alternative<consensus::timeout_now>(m.body);
    if (m.after_batch > durable_)
      held_.push_back(std::move(m));
    else
      outgoing_[m.to].push_back({m.group, std::move(m.body)});
  }
  if (publishes)
    publish();  // the lease ends before the successor is asked
  flush();
}

void replicated_log::flush() {
  for (auto& [to, messages] : outgoing_)
    if (!messages.empty())
      peers_.send(to, std::exchange(messages, {}));
}

bool replicated_log::write(const consensus::write_batch& batch) {
  consensus::erase_budget budget;
  for (const auto& w : batch.writes)
    if (!w.install)
      consensus::put(w, groups_.at(w.group).stored, writes_, budget);
  kill_point("commit.before");
  if (auto written = store_.write(writes_, batch.sync); !written) {
    fail(written.error());
    return false;
  }
  kill_point("commit.after");
  writes_made_.fetch_add(batch.sync ? 1 : 0, std::memory_order_relaxed);
  bytes_.fetch_add(writes_.bytes(), std::memory_order_relaxed);
  writes_.clear();
  for (const auto& w : batch.writes)
    if (w.install && !install(w))
      return false;
  if (!batch.sync)
    return true;
  durable_ = batch.number;
  now_ms_ = steady_now_ms();
  host_->persisted(now_ms_, durable_);
  while (!held_.empty() && held_.front().after_batch <= durable_) {
    outgoing_[held_.front().to].push_back({held_.front().group, std::move(held_.front().body)});
    held_.pop_front();
  }
  flush();
  return true;
}

std::vector<consensus::node_id> replicated_log::successors(const consensus::raft_group& of,
                                                           const transfer_pauses& pauses) const {
  std::vector<consensus::node_id> out;
  for (const auto& member : of.core().members().members)
    if (of.can_take_over(now_ms_, member.id) && !pauses.pauses(member.id, now_ms_))
      out.push_back(member.id);
  return out;
}

void replicated_log::publish() {
  std::vector<group_standing> now;
  now.reserve(groups_.size());
  for (const auto& [group, g] : groups_) {
    const auto* raft = host_->find(group);
    group_standing s;
    s.group = group;
    s.term = g.listening ? g.led_term : 0;
    s.leader = host_->leader_hint(group);
    s.applied = g.applied;
    s.members = raft->core().members();
    s.changing = raft->is_changing();
    s.giving = raft->is_transferring();
    s.successors = successors(*raft, g.pauses);
    published_.renew(s, g.listening ? host_->lease_until(group, now_ms_) : 0, now_ms_);
    now.push_back(std::move(s));
  }
  published_.set_standings(std::move(now));
}

void replicated_log::fail(const error& why) {
  published_.lose_all();
  inbox_.stop();
  on_failure_(why);
  inbox_.clear();
}

}  // namespace holdfast
