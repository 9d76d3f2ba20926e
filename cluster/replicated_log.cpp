#include "cluster/replicated_log.hpp"

#include <ctime>

#include "persistence/kill_point.hpp"
#include "persistence/record_size.hpp"
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

void append(std::vector<std::shared_ptr<const turn_record>>& to,
            std::vector<std::shared_ptr<const turn_record>>&& what) {
  to.insert(to.end(), std::make_move_iterator(what.begin()), std::make_move_iterator(what.end()));
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
    on_failure_(on_failure ? std::move(on_failure) : end_process) {}

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
    published_ = std::vector<published>(static_cast<std::size_t>(groups_.rbegin()->first) + 1);
  for (auto& [group, stored] : found)
    if (auto started = host_->start(now_ms_, group, stored); !started)
      return started;
  kill_point("recovery.after");
  publish();
  thread_ = std::thread{[this] { run(); }};
  return ok_status();
}

void replicated_log::stop() {
  {
    const std::lock_guard lock{mutex_};
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable())
    thread_.join();
  for (auto& p : published_) {
    p.term.store(0, std::memory_order_release);
    p.lease_until_ms.store(0, std::memory_order_release);
  }
}

// ---- any thread ------------------------------------------------------------------------------------------------------

bool replicated_log::has_room(std::size_t bytes, std::size_t times) const noexcept {
  return records_pending_ < times * options_.queue_records_max &&
         (bytes_pending_ == 0 || bytes_pending_ + bytes <= times * options_.queue_bytes_max);
}

status replicated_log::propose(group_id group, std::uint64_t term,
                               std::shared_ptr<const turn_record> record) {
  HOLDFAST_ASSERT(record, "a proposal without a record");
  const auto bytes = size_of(*record);
  const std::size_t times = is_new_event(*record) ? 1 : 2;
  bool wake = false;
  {
    const std::lock_guard lock{mutex_};
    if (stopping_ || term == 0 || group >= published_.size() ||
        published_[group].term.load(std::memory_order_acquire) != term)
      return error{errc::not_leader, "this node does not lead group " + std::to_string(group) +
                                       " in term " + std::to_string(term)};
    if (!has_room(bytes, times)) {
      refused_.fetch_add(1, std::memory_order_relaxed);
      return error{errc::overloaded, "the commit queue is full"};
    }
    inbox_.proposals.push_back({std::move(record), bytes, group, term});
    ++records_pending_;
    bytes_pending_ += bytes;
    wake = std::exchange(sleeping_, false);
  }
  if (wake)
    wake_.notify_one();
  return ok_status();
}

bool replicated_log::leads(group_id group, std::uint64_t term) const noexcept {
  if (term == 0 || group >= published_.size())
    return false;
  const auto& p = published_[group];
  return p.term.load(std::memory_order_acquire) == term &&
         steady_now_ms() < p.lease_until_ms.load(std::memory_order_acquire);
}

bool replicated_log::leads(group_id group) const noexcept {
  return group < published_.size() &&
         leads(group, published_[group].term.load(std::memory_order_acquire));
}

commit_log::counters replicated_log::count() const noexcept {
  return {records_, writes_made_, bytes_, refused_};
}

void replicated_log::receive(consensus::node_id from, std::vector<codec::group_message> messages,
                             std::shared_ptr<void> held) {
  bool wake = false;
  {
    const std::lock_guard lock{mutex_};
    if (stopping_ || inbox_messages_ + messages.size() > options_.inbox_messages_max)
      return;
    inbox_messages_ += messages.size();
    inbox_.messages.push_back({from, std::move(messages), std::move(held)});
    wake = std::exchange(sleeping_, false);
  }
  if (wake)
    wake_.notify_one();
}

void replicated_log::post(task what) {
  bool wake = false;
  {
    const std::lock_guard lock{mutex_};
    if (stopping_)
      return;
    inbox_.tasks.push_back(std::move(what));
    wake = std::exchange(sleeping_, false);
  }
  if (wake)
    wake_.notify_one();
}

std::vector<group_standing> replicated_log::standings() const {
  const std::lock_guard lock{mutex_};
  return standings_;
}

consensus::node_id replicated_log::leader_of(group_id group) const noexcept {
  return group < published_.size() ? published_[group].leader.load(std::memory_order_acquire) : 0;
}

std::uint64_t replicated_log::applied(group_id group) const noexcept {
  return group < published_.size() ? published_[group].applied.load(std::memory_order_acquire) : 0;
}

std::int64_t replicated_log::leaderless_ms(group_id group) const noexcept {
  if (group >= published_.size() || leader_of(group) != 0)
    return 0;
  const auto seen = published_[group].leader_seen_ms.load(std::memory_order_acquire);
  return static_cast<std::int64_t>(steady_now_ms() - seen);
}

// ---- the log's thread ------------------------------------------------------------------------------------------------

void replicated_log::run() {
  inbox taken;
  if (!drain())
    return;
  while (next(taken)) {
    take(taken);
    if (!drain())
      return;
  }
}

/// What came since, waiting for the next tick at most. False: the log was stopped.
bool replicated_log::next(inbox& out) {
  std::unique_lock lock{mutex_};
  if (inbox_.empty() && !stopping_) {
    const auto now = steady_now_ms();
    if (now < tick_at_ms_) {
      sleeping_ = true;
      wake_.wait_for(lock, std::chrono::milliseconds{tick_at_ms_ - now},
                     [this] { return stopping_ || !inbox_.empty(); });
      sleeping_ = false;
    }
  }
  if (stopping_)
    return false;
  std::swap(out, inbox_);
  inbox_messages_ = 0;
  return true;
}

void replicated_log::take(inbox& taken) {
  now_ms_ = steady_now_ms();
  if (now_ms_ >= tick_at_ms_) {  // first of all, should the process have been held up
    host_->tick(now_ms_);
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
    auto& g = groups_.at(one.group);
    if (g.waiting.empty())
      touched.push_back(one.group);
    g.waiting.push_back(std::move(one));
  }
  for (const auto group : touched)
    propose_waiting(group, groups_.at(group));
  taken.proposals.clear();
  taken.messages.clear();
  taken.tasks.clear();
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
  while (!g.waiting.empty()) {
    if (!g.listening || g.waiting.front().term != g.led_term)
      return drop(g.waiting);
    records packed;
    std::size_t bytes = 0;
    std::size_t count = 0;
    for (const auto& one : g.waiting) {
      if (count > 0 && (bytes + one.bytes > options_.entry_bytes_max ||
                        cut_epoch(*packed.back()) != 0))  // which is the last of its entry
        break;
      packed.push_back(one.record);
      bytes += one.bytes;
      ++count;
    }
    const auto index = host_->propose(
      now_ms_, group, g.led_term, std::make_shared<const std::string>(codec::encode_entry(packed)));
    if (!index)
      return;  // overloaded: again with the next tick; not the leader: `lost` follows
    g.waiting.erase(g.waiting.begin(), g.waiting.begin() + static_cast<std::ptrdiff_t>(count));
    g.proposed.emplace(*index, proposed_entry{std::move(packed), bytes});
  }
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

/// The state of the group, and with it its log, becomes what was fetched. Groups know nothing of each other: those in
/// the same batch are written before.
bool replicated_log::install(const consensus::log_write& what) {
  auto& g = groups_.at(what.group);
  auto fetched = snapshots_.take(*what.install);
  HOLDFAST_ASSERT(fetched, "a snapshot that was not fetched");
  g.stored = {};  // the old log goes with the old state
  write_set extra;
  consensus::erase_budget budget;
  consensus::put(what, g.stored, extra, budget);
  consensus::put_applied(what.group, what.snapshot->index, what.snapshot->term, extra);
  kill_point("install.before");
  if (auto installed = fetched->install(extra); !installed) {
    fail(installed.error());
    return false;
  }
  kill_point("install.after");
  g.applied = what.snapshot->index;
  ++installed_;
  machine_.replaced(what.group);
  listener_.replaced(what.group);
  return true;
}

/// False: not now; too many states are offered, or this one is not far enough.
bool replicated_log::offer(const consensus::snapshot_wanted& what) {
  const auto applied = groups_.at(what.group).applied;
  if (applied < what.index_min)
    return false;
  const auto id = snapshots_.pin(what.group, what.to);
  if (!id)
    return false;
  if (!host_->offer_snapshot(now_ms_, what.group, what.to, what.term, *id, applied))
    snapshots_.unpin(*id);  // nobody wants it any more, or it will be asked for again
  return true;
}

/// The consensus would ask again after many seconds only, for which nobody would catch up.
void replicated_log::offer_again() {
  std::erase_if(offers_late_, [this](const auto& what) {
    const auto* group = host_->find(what.group);
    return group->leading_term() != what.term || offer(what);
  });
}

void replicated_log::fetched(group_id group, std::uint64_t snapshot_id, bool is_here) {
  post([this, group, snapshot_id, is_here](consensus::raft_host& host, std::uint64_t now_ms) {
    if (is_here ? host.snapshot_fetched(group, snapshot_id)
                : host.snapshot_failed(now_ms, group, snapshot_id))
      return;
    (void)snapshots_.take(snapshot_id);  // nobody waits for it any more
  });
}

bool replicated_log::handle(const std::vector<consensus::event>& events) {
  for (const auto& e : events) {
    if (const auto* entries = std::get_if<consensus::entries_committed>(&e)) {
      for (std::size_t done = 0; done < entries->entries.size();)
        if (!apply(*entries, done))
          return false;
      continue;
    }
    if (!write_applied())
      return false;
    if (const auto* won = std::get_if<consensus::leadership_gained>(&e))
      gained(*won);
    else if (const auto* over = std::get_if<consensus::leadership_lost>(&e))
      lost(*over);
    else if (const auto* wanted = std::get_if<consensus::snapshot_wanted>(&e)) {
      std::erase_if(offers_late_, [&](const auto& one) {
        return one.group == wanted->group && one.to == wanted->to;
      });
      if (!offer(*wanted))
        offers_late_.push_back(*wanted);
    } else if (const auto* behind = std::get_if<consensus::install_wanted>(&e))
      snapshots_.fetch(*behind);
  }
  return write_applied();
}

void replicated_log::gained(const consensus::leadership_gained& what) {
  auto& g = groups_.at(what.group);
  g.led_term = what.term;
  g.first_own = 0;
  propose_first(what.group, g);
}

void replicated_log::lost(const consensus::leadership_lost& what) {
  auto& g = groups_.at(what.group);
  auto& p = published_[what.group];
  {
    const std::lock_guard lock{mutex_};  // nothing is taken for this term from here on
    p.term.store(0, std::memory_order_release);
    p.lease_until_ms.store(0, std::memory_order_release);
  }
  drop(g.waiting);
  std::size_t count = 0;
  std::size_t bytes = 0;
  for (const auto& [index, entry] : g.proposed) {
    count += entry.what.size();
    bytes += entry.bytes;
  }
  g.proposed.clear();
  release(count, bytes);
  g.led_term = g.first_own = 0;
  if (std::exchange(g.listening, false))
    listener_.lost(what.group, what.term, errc::unknown_outcome);
}

/// From `done` on, which is moved behind: to the end, or behind a backup cut, which is the last of its write. False: the
/// store failed.
bool replicated_log::apply(const consensus::entries_committed& what, std::size_t& done) {
  auto& g = groups_.at(what.group);
  const bool is_there = std::any_of(applied_.begin(), applied_.end(),
                                    [&](const auto& one) { return one.group == what.group; });
  // What is written together is read by nobody in between.
  if (is_there && !write_applied())
    return false;
  applied_entries out;
  out.group = what.group;
  records all;
  std::uint64_t term = 0;
  while (done < what.entries.size() && out.cut == 0) {
    const auto index = what.first + done;
    const auto& e = what.entries[done++];
    if (index <= g.applied)
      continue;
    out.last = index;
    term = e.term;
    if (e.kind != consensus::entry_kind::command)
      continue;
    if (const auto mine = g.proposed.find(index); mine != g.proposed.end()) {
      HOLDFAST_ASSERT(e.term == g.led_term, "another entry at the index of a proposal");
      out.own_count += mine->second.what.size();
      out.own_bytes += mine->second.bytes;
      all.insert(all.end(), mine->second.what.begin(), mine->second.what.end());
      append(out.own, std::move(mine->second.what));
      g.proposed.erase(mine);
      out.cut = all.empty() ? 0 : cut_epoch(*all.back());
      continue;
    }
    auto decoded = codec::decode_entry(*e.data);
    HOLDFAST_ASSERT(decoded, "a committed entry does not parse");
    for (auto& record : decoded->records) {
      all.push_back(std::make_shared<const turn_record>(std::move(record)));
      out.followed.push_back(all.back());
    }
    out.cut = all.empty() ? 0 : cut_epoch(*all.back());
  }
  if (out.last == 0)
    return true;
  if (!all.empty())
    machine_.apply(store_, what.group, out.last, all, writes_);
  consensus::put_applied(what.group, out.last, term, writes_);
  const bool is_cut = out.cut != 0;
  applied_.push_back(std::move(out));
  return !is_cut || write_applied();
}

/// Not synced: the log holds what it says, and is read again after a crash.
bool replicated_log::write_applied() {
  if (applied_.empty())
    return true;
  kill_point("apply.before");
  if (auto written = store_.write(writes_, false); !written) {
    fail(written.error());
    return false;
  }
  kill_point("apply.after");
  bytes_.fetch_add(writes_.bytes(), std::memory_order_relaxed);
  writes_.clear();
  tell_applied();
  return true;
}

void replicated_log::tell_applied() {
  for (auto& one : std::exchange(applied_, {})) {
    auto& g = groups_.at(one.group);
    g.applied = one.last;
    records_.fetch_add(one.own.size() + one.followed.size(), std::memory_order_relaxed);
    host_->applied(now_ms_, one.group, one.last);
    release(one.own_count, one.own_bytes);
    if (one.cut != 0)
      listener_.cut(one.group, one.cut, one.last);
    if (!one.followed.empty())  // before others see the index: what follows from it is under way
      listener_.followed(one.group, one.last, std::move(one.followed));
    published_[one.group].applied.store(one.last, std::memory_order_release);
    if (!one.own.empty())
      listener_.committed(one.group, g.led_term, one.last, std::move(one.own));
    if (!g.listening && g.first_own != 0 && one.last >= g.first_own) {
      g.listening = true;
      {
        const std::lock_guard lock{mutex_};
        published_[one.group].term.store(g.led_term, std::memory_order_release);
      }
      publish();
      listener_.leading(one.group, g.led_term);
    }
  }
}

void replicated_log::release(std::size_t count, std::size_t bytes) {
  if (count == 0)
    return;
  const std::lock_guard lock{mutex_};
  records_pending_ -= count;
  bytes_pending_ -= bytes;
}

void replicated_log::drop(std::deque<queued>& what) {
  std::size_t bytes = 0;
  for (const auto& one : what)
    bytes += one.bytes;
  const auto count = what.size();
  what.clear();
  release(count, bytes);
}

void replicated_log::publish() {
  std::vector<group_standing> now;
  now.reserve(groups_.size());
  for (const auto& [group, g] : groups_) {
    auto& p = published_[group];
    p.lease_until_ms.store(g.listening ? host_->lease_until(group, now_ms_) : 0,
                           std::memory_order_release);
    p.leader.store(host_->leader_hint(group), std::memory_order_release);
    if (host_->leader_hint(group) != 0 || p.leader_seen_ms.load(std::memory_order_relaxed) == 0)
      p.leader_seen_ms.store(now_ms_, std::memory_order_release);
    p.applied.store(g.applied, std::memory_order_release);
    group_standing s;
    s.group = group;
    s.term = g.listening ? g.led_term : 0;
    s.leader = host_->leader_hint(group);
    s.applied = g.applied;
    s.members = host_->find(group)->core().members();
    s.changing = host_->find(group)->is_changing();
    s.giving = host_->find(group)->is_transferring();
    now.push_back(std::move(s));
  }
  const std::lock_guard lock{mutex_};
  standings_ = std::move(now);
}

void replicated_log::fail(const error& why) {
  for (auto& p : published_) {
    p.term.store(0, std::memory_order_release);
    p.lease_until_ms.store(0, std::memory_order_release);
  }
  on_failure_(why);
  const std::lock_guard lock{mutex_};
  stopping_ = true;
  inbox_ = {};
}

}  // namespace holdfast
