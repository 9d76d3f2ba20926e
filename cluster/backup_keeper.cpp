#include "cluster/backup_keeper.hpp"

#include <algorithm>

#include "persistence/keys.hpp"
#include "runtime/host/log.hpp"
#include "schemas/codec.hpp"

namespace holdfast {

namespace {

constexpr auto ask_again = std::chrono::milliseconds{200};
constexpr std::size_t backup_chunk_bytes = 96U << 10;
constexpr std::size_t backup_piece_bytes = 64U << 10;
constexpr std::size_t unsent_bytes_max = 128U << 10;  // and a piece: below what a stream may hold

/// Nothing: the group has none yet. Errors: of the reader.
result<partition_state> state_of(const reader& from, group_id group) {
  const auto bytes = from.get(family::meta, keys::partition_state(group));
  if (!bytes)
    return bytes.error();
  return *bytes ? codec::decode_partition_state(**bytes) : partition_state{};
}

}  // namespace

class backup_keeper::job final : public backup_job {
public:
  explicit job(std::shared_ptr<backup_keeper> keeper) : keeper_(std::move(keeper)) {}
  ~job() override {
    if (!running_)
      keeper_->end();
  }
  job(const job&) = delete;
  job& operator=(const job&) = delete;

  void run(open_function open, std::function<void(const error&)> refuse) override {
    {
      const std::lock_guard lock{keeper_->mutex_};
      running_ = !keeper_->stopped_;
      if (running_) {
        if (keeper_->thread_.joinable())
          keeper_->thread_.join();  // of the one before, which has ended
        keeper_->thread_ = std::thread{
          [keeper = keeper_.get(), open = std::move(open), refuse] { keeper->run(open, refuse); }};
      }
    }
    if (!running_)
      refuse({errc::draining, "this node is stopping"});
  }

private:
  const std::shared_ptr<backup_keeper> keeper_;
  bool running_ = false;
};

// ---- the log's thread ------------------------------------------------------------------------------------------------

/// Of a group that hears of two backups at once only the newer one's cut may come; it is one for the older, too.
void backup_keeper::cut(group_id group, std::uint64_t epoch, std::uint64_t index) {
  const std::lock_guard lock{mutex_};
  newest_ = std::max(newest_, epoch);
  if (epoch_ == 0 || epoch < epoch_ || pinned_.contains(group))
    return;
  pinned_.emplace(group, pinned{p_.disk->snapshot(), index});
  changed_.notify_all();
}

void backup_keeper::replaced(group_id group) {
  const std::lock_guard lock{mutex_};
  if (epoch_ == 0 || pinned_.contains(group))
    return;
  missed_ = error{errc::unavailable, "this node was too far behind in partition " +
                                       std::to_string(group) + "; ask another, or again"};
  changed_.notify_all();
}

// ---- any thread ------------------------------------------------------------------------------------------------------

result<std::shared_ptr<backup_job>> backup_keeper::begin() {
  if (p_.check_others)
    if (auto all = p_.check_others(); !all)
      return all.error();
  const std::lock_guard lock{mutex_};
  if (stopped_)
    return error{errc::draining, "this node is stopping"};
  if (std::exchange(taken_, true))
    return error{errc::conflict, "this node is taking a backup already; wait until it is complete"};
  return std::shared_ptr<backup_job>{std::make_shared<job>(shared_from_this())};
}

void backup_keeper::end() {
  const std::lock_guard lock{mutex_};
  epoch_ = 0;
  pinned_.clear();
  missed_.reset();
  taken_ = false;
}

void backup_keeper::stop() {
  std::thread ended;
  {
    const std::lock_guard lock{mutex_};
    stopped_ = true;
    ended = std::move(thread_);
  }
  changed_.notify_all();
  if (ended.joinable())
    ended.join();
}

// ---- its own thread --------------------------------------------------------------------------------------------------

void backup_keeper::run(const open_function& open,
                        const std::function<void(const error&)>& refuse) {
  auto ready = begin_epoch();
  if (ready)
    ready = wait_for_cuts(1, p_.partitions);
  if (ready)  // last: so it has every definition that the others refer to
    ready = wait_for_cuts(catalog_group, catalog_group);
  if (ready)
    write(open());
  else
    log::warn("backup-refused", {{"why", ready.error().context}});
  end();
  if (!ready)
    refuse(ready.error());
}

result<std::uint64_t> backup_keeper::newest_epoch() const {
  std::uint64_t out = 0;
  for (std::uint32_t group = 0; group <= p_.partitions; ++group) {
    const auto state = state_of(*p_.disk, static_cast<group_id>(group));
    if (!state)
      return state.error();
    out = std::max(out, state->backup_epoch);
  }
  return out;
}

/// Newer than every cut that was applied here: none of those can be taken for one of ours.
status backup_keeper::begin_epoch() {
  const auto known = newest_epoch();
  if (!known)
    return known.error();
  const auto now = p_.wall_now();
  const std::lock_guard lock{mutex_};
  newest_ = std::max(newest_, *known);
  taken_at_ = now;
  epoch_ = std::max(static_cast<std::uint64_t>(now), newest_ + 1);
  return ok_status();
}

status backup_keeper::wait_for_cuts(group_id first, group_id last) {
  const auto until = std::chrono::steady_clock::now() + p_.cut_limit;
  std::unique_lock lock{mutex_};
  for (;;) {
    if (stopped_)
      return error{errc::draining, "this node is stopping"};
    if (missed_)
      return *missed_;
    std::vector<group_id> left;
    for (std::uint32_t group = first; group <= last; ++group)
      if (!pinned_.contains(static_cast<group_id>(group)))
        left.push_back(static_cast<group_id>(group));
    if (left.empty())
      return ok_status();
    if (std::chrono::steady_clock::now() >= until)
      return error{errc::no_quorum, "partition " + std::to_string(left.front()) + " has not cut: " +
                                      "it has no leader, or this node does not hear of it; "
                                      "`holdfast cluster status` shows who leads"};
    const auto epoch = epoch_;
    const auto before = pinned_.size();
    lock.unlock();
    for (const auto group : left)
      p_.ask_to_cut(group, epoch);
    lock.lock();
    const auto pause = std::chrono::steady_clock::now() + ask_again;
    changed_.wait_until(
      lock, pause, [&] { return stopped_ || missed_ || pinned_.size() == before + left.size(); });
  }
}

/// Without its end when something fails: who reads it sees that.
void backup_keeper::write(const net::stream_handle& out) {
  backup_header header;
  header.partitions = p_.partitions;
  header.feature_level = p_.feature_level;
  header.cluster = p_.cluster;
  header.node = p_.node;
  header.version = p_.version;
  std::map<group_id, pinned> all;
  {
    const std::lock_guard lock{mutex_};
    header.epoch = epoch_;
    header.taken_at = taken_at_;
    all = std::move(pinned_);
    pinned_.clear();
    epoch_ = 0;
  }
  for (const auto& [group, what] : all)
    header.groups.push_back(group);
  backup_writer writer;
  bool sent = send(out, writer.begin(header));
  for (auto& [group, what] : all) {
    if (!sent)
      break;
    const auto written = write_group(out, writer, group, std::move(what));
    sent = static_cast<bool>(written);
    if (!written)
      log::warn("backup-ended", {{"why", written.error().context}});
  }
  if (sent && send(out, writer.end()))
    log::info("backup-written",
              {{"epoch", std::to_string(header.epoch)}, {"bytes", std::to_string(writer.bytes())}});
  out.close();
}

/// The state is let go when it is written.
status backup_keeper::write_group(const net::stream_handle& out, backup_writer& writer,
                                  group_id group, pinned what) {
  const error gone{errc::cancelled, "the client went away, or the node is stopping"};
  backup_group last{group, what.applied, 0, {}};
  const auto state = state_of(*what.state, group);
  if (!state)
    return state.error();
  last.term = state->term;
  std::string position;
  for (bool more = true; more;) {
    auto chunk = export_chunk(*what.state, group, position, backup_chunk_bytes);
    if (!chunk)
      return chunk.error();
    if (!send(out, writer.chunk(chunk->bytes)))
      return gone;
    more = !chunk->last;
    position = std::move(chunk->next);
  }
  const auto at = decode_position(position);
  if (!at)
    return at.error();
  last.state_hash = at->digest;
  return send(out, writer.end_group(last)) ? ok_status() : status{gone};
}

/// Waits for room, for as long as the client takes something now and then. A chunk with one large value is cut up.
bool backup_keeper::send(const net::stream_handle& out, std::string bytes) {
  struct gate {
    std::mutex mutex;
    std::condition_variable opened;
    bool open = false;
  };
  const auto whole = std::make_shared<const std::string>(std::move(bytes));
  for (std::size_t at = 0; at < whole->size(); at += backup_piece_bytes) {
    const auto room = std::make_shared<gate>();
    out.on_room(unsent_bytes_max, [room] {
      const std::lock_guard lock{room->mutex};
      room->open = true;
      room->opened.notify_all();
    });
    {
      std::unique_lock lock{room->mutex};
      while (!room->opened.wait_for(lock, ask_again, [&] { return room->open; })) {
        const std::lock_guard stopping{mutex_};
        if (stopped_)
          return false;
      }
    }
    if (!out.write(whole->substr(at, backup_piece_bytes)))
      return false;
  }
  return true;
}

}  // namespace holdfast
