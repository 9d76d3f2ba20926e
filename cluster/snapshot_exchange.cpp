#include "cluster/snapshot_exchange.hpp"

#include <algorithm>
#include <random>
#include <vector>

#include "persistence/group_export.hpp"

namespace holdfast {

// ---- giving ----------------------------------------------------------------------------------------------------------

std::optional<std::uint64_t> snapshot_exchange::pin(group_id group, consensus::node_id to) {
  const std::lock_guard lock{mutex_};
  const auto now = p_.steady_ms();
  std::erase_if(pinned_, [&](const auto& one) {
    return one.second.group == group && one.second.to == to &&
           now - one.second.used_ms > 2 * answer_ms_max;
  });
  const auto given = static_cast<std::size_t>(std::count_if(
    pinned_.begin(), pinned_.end(), [](const auto& one) { return one.second.given; }));
  if (stopped_ || pinned_.size() - given >= pinned_max || given >= given_max)
    return std::nullopt;
  if (next_ == 0) {  // unlike those of this node's life before: nobody may go on with an old one
    std::random_device chance;
    next_ = (std::uint64_t{chance()} << 32 | chance()) | 1;
  }
  pinned_.emplace(next_, pinned{group, to, p_.disk->snapshot(), now, false});
  return next_++;
}

void snapshot_exchange::unpin(std::uint64_t snapshot_id) {
  const std::lock_guard lock{mutex_};
  pinned_.erase(snapshot_id);
}

void snapshot_exchange::received(consensus::node_id from, const link::snapshot_request& request) {
  std::shared_ptr<const reader> state;
  {
    const std::lock_guard lock{mutex_};
    const auto found = pinned_.find(request.snapshot_id);
    if (found != pinned_.end() && found->second.group == request.group) {
      found->second.used_ms = p_.steady_ms();
      state = found->second.state;
    }
  }
  if (!state) {
    link::snapshot_chunk none;
    none.snapshot_id = request.snapshot_id;
    none.group = request.group;
    none.position = request.position;
    none.missing = true;
    p_.send(from, none);
    return;
  }
  slow_.post([this, from, request, state] {
    link::snapshot_chunk out;
    out.snapshot_id = request.snapshot_id;
    out.group = request.group;
    out.position = request.position;
    if (auto chunk = export_chunk(*state, request.group, request.position)) {
      out.bytes = std::move(chunk->bytes);
      out.next_position = std::move(chunk->next);
      out.last = chunk->last;
    } else {
      out.missing = true;
    }
    p_.send(from, out);
    if (out.last)
      given(request.snapshot_id);
  });
}

void snapshot_exchange::given(std::uint64_t snapshot_id) {
  const std::lock_guard lock{mutex_};
  if (const auto found = pinned_.find(snapshot_id); found != pinned_.end())
    found->second.given = true;
}

// ---- taking ----------------------------------------------------------------------------------------------------------

void snapshot_exchange::fetch(const consensus::install_wanted& what) {
  {
    const std::lock_guard lock{mutex_};
    auto one = std::make_shared<fetching>();
    one->what = what;
    one->heard_ms = p_.steady_ms();
    fetching_[what.snapshot_id] = std::move(one);
  }
  begin_next();
}

/// As many as may be fetched at one time.
void snapshot_exchange::begin_next() {
  std::vector<fetching_ptr> begun;
  std::vector<fetching_ptr> failed;
  {
    const std::lock_guard lock{mutex_};
    std::size_t running = 0;
    for (const auto& [id, one] : fetching_)
      running += one->started && !one->complete ? 1U : 0U;
    for (const auto& [id, one] : fetching_) {
      if (one->started || running >= fetched_max || stopped_)
        continue;
      one->started = true;
      one->heard_ms = p_.steady_ms();
      ++running;
      if (auto into = p_.disk->import_group(one->what.group)) {
        one->into = std::move(*into);
        begun.push_back(one);
      } else {
        failed.push_back(one);
      }
    }
  }
  for (const auto& one : begun)
    ask(one);
  for (const auto& one : failed)
    end(one, false);
}

void snapshot_exchange::ask(const fetching_ptr& what) {
  link::snapshot_request request;
  request.snapshot_id = what->what.snapshot_id;
  request.group = what->what.group;
  {
    const std::lock_guard lock{mutex_};
    if (!what->into || what->adding || what->complete)
      return;  // what was late has come after all
    what->position = what->into->position();
    what->asked_ms = p_.steady_ms();
    request.position = what->position;
  }
  p_.send(what->what.from, request);
}

void snapshot_exchange::received(consensus::node_id from, link::snapshot_chunk&& chunk) {
  fetching_ptr what;
  {
    const std::lock_guard lock{mutex_};
    const auto found = fetching_.find(chunk.snapshot_id);
    if (found == fetching_.end() || found->second->what.from != from || found->second->adding ||
        found->second->complete || !found->second->into ||
        found->second->position != chunk.position)
      return;  // asked for twice, or not any more
    what = found->second;
    what->heard_ms = p_.steady_ms();
    what->adding = !chunk.missing;
  }
  if (chunk.missing)
    return end(what, false);
  slow_.post([this, what, bytes = std::move(chunk.bytes)] { add(what, bytes); });
}

void snapshot_exchange::add(const fetching_ptr& what, const std::string& chunk) {
  const auto added = what->into->add(chunk);
  {
    const std::lock_guard lock{mutex_};
    what->adding = false;
    what->complete = what->into->complete();
    what->heard_ms = p_.steady_ms();
  }
  if (!added && added.error().code == errc::io_failure)
    return end(what, false);
  if (what->complete)
    return end(what, true);
  ask(what);  // the next, or the same again when it was damaged
}

void snapshot_exchange::end(const fetching_ptr& what, bool fetched) {
  {
    const std::lock_guard lock{mutex_};
    if (!fetched)
      fetching_.erase(what->what.snapshot_id);
    if (stopped_)
      return;
  }
  p_.ended(what->what.group, what->what.snapshot_id, fetched);
  begin_next();
}

std::unique_ptr<group_import> snapshot_exchange::take(std::uint64_t snapshot_id) {
  const std::lock_guard lock{mutex_};
  const auto found = fetching_.find(snapshot_id);
  if (found == fetching_.end() || !found->second->complete)
    return nullptr;
  auto out = std::move(found->second->into);
  fetching_.erase(found);
  return out;
}

void snapshot_exchange::tick() {
  std::vector<fetching_ptr> again;
  std::vector<fetching_ptr> given_up;
  const auto now = p_.steady_ms();
  {
    const std::lock_guard lock{mutex_};
    std::erase_if(pinned_,
                  [&](const auto& one) { return now - one.second.used_ms > unused_ms_max; });
    for (const auto& [id, one] : fetching_) {
      if (!one->started || one->adding || one->complete)
        continue;
      if (now - one->heard_ms > silent_ms_max)
        given_up.push_back(one);
      else if (now - one->asked_ms > answer_ms_max)
        again.push_back(one);
    }
  }
  for (const auto& one : again)
    ask(one);
  for (const auto& one : given_up)
    end(one, false);
}

void snapshot_exchange::stop() {
  {
    const std::lock_guard lock{mutex_};
    if (std::exchange(stopped_, true))
      return;
  }
  slow_.stop();
  const std::lock_guard lock{mutex_};
  pinned_.clear();
  fetching_.clear();
}

}  // namespace holdfast
