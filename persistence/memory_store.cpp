#include "persistence/memory_store.hpp"

#include <utility>

#include "persistence/group_import.hpp"

namespace holdfast {

namespace {

using table = memory_store::table;

std::size_t at(family in) { return static_cast<std::size_t>(in); }

// A table that does not change while this lives. Let go of under the mutex, so that the store, which changes a table
// in place once nobody else holds it, comes after the last read.
class pinned {
public:
  pinned(std::shared_ptr<std::mutex> mutex, std::shared_ptr<const table> held)
    : mutex_(std::move(mutex)), table_(std::move(held)) {}
  ~pinned() {
    const std::scoped_lock lock(*mutex_);
    table_.reset();
  }
  pinned(const pinned&) = delete;
  pinned& operator=(const pinned&) = delete;
  const table& operator*() const { return *table_; }

private:
  std::shared_ptr<std::mutex> mutex_;
  std::shared_ptr<const table> table_;
};

class memory_cursor final : public cursor {
public:
  memory_cursor(std::shared_ptr<const pinned> held, std::string_view lower, std::string_view upper,
                bool descending)
    : held_(std::move(held)), descending_(descending) {
    const table& rows = **held_;
    first_ = rows.lower_bound(lower);
    last_ = lower < upper ? rows.lower_bound(upper) : first_;
  }

  bool valid() const override { return first_ != last_; }
  std::string_view key() const override { return row().first; }
  std::string_view value() const override { return row().second.value; }
  void next() override {
    HOLDFAST_ASSERT(valid(), "a cursor moved beyond its end");
    if (descending_)
      --last_;
    else
      ++first_;
  }
  status state() const override { return ok_status(); }

private:
  const table::value_type& row() const {
    HOLDFAST_ASSERT(valid(), "a cursor read beyond its end");
    return descending_ ? *std::prev(last_) : *first_;
  }

  std::shared_ptr<const pinned> held_;
  table::const_iterator first_;  // what remains: [first_, last_)
  table::const_iterator last_;
  bool descending_;
};

class memory_snapshot final : public reader {
public:
  memory_snapshot(const std::shared_ptr<std::mutex>& mutex, const memory_store::tables& now) {
    for (std::size_t i = 0; i < family_count; ++i)
      held_[i] = std::make_shared<pinned>(mutex, now[i]);
  }

  result<std::optional<std::string>> get(family in, std::string_view key) const override {
    const table& rows = **held_[at(in)];
    const auto found = rows.find(key);
    if (found == rows.end())
      return std::optional<std::string>{};
    return std::optional(found->second.value);
  }

  std::unique_ptr<cursor> scan(family in, std::string_view lower, std::string_view upper,
                               bool descending) const override {
    return std::make_unique<memory_cursor>(held_[at(in)], lower, upper, descending);
  }

private:
  std::array<std::shared_ptr<const pinned>, family_count> held_;
};

}  // namespace

memory_store::memory_store() : mutex_(std::make_shared<std::mutex>()) {
  for (auto& rows : tables_)
    rows = std::make_shared<table>();
}

result<std::optional<std::string>> memory_store::get(family in, std::string_view key) const {
  const std::scoped_lock lock(*mutex_);
  const auto& rows = *tables_[at(in)];
  const auto found = rows.find(key);
  if (found == rows.end())
    return std::optional<std::string>{};
  return std::optional(found->second.value);
}

std::unique_ptr<cursor> memory_store::scan(family in, std::string_view lower,
                                           std::string_view upper, bool descending) const {
  std::shared_ptr<const pinned> held;
  {
    const std::scoped_lock lock(*mutex_);
    held = std::make_shared<pinned>(mutex_, tables_[at(in)]);
  }
  return std::make_unique<memory_cursor>(std::move(held), lower, upper, descending);
}

status memory_store::write(const write_set& writes, bool durable) {
  const std::scoped_lock lock(*mutex_);
  if (fail_next_ != errc::ok)
    return error{std::exchange(fail_next_, errc::ok), "a write that was told to fail"};
  for (const auto& op : writes.ops())
    apply(op);
  if (durable) {
    unsynced_.clear();
    ++durable_writes_;
  }
  return ok_status();
}

void memory_store::apply(const write_op& op) {
  auto& rows = tables_[at(op.in)];
  if (rows.use_count() > 1)
    rows = std::make_shared<table>(*rows);
  const auto found = rows->find(op.key);
  const bool present = found != rows->end();
  auto& erased = erased_[at(op.in)];
  unsynced_.push_back({op.in, op.key, present ? std::optional(found->second) : std::nullopt,
                       erased.contains(op.key)});
  switch (op.what) {
    case write_op::kind::put:
      erased.erase(op.key);
      if (present)
        found->second = {op.value, found->second.puts + 1};
      else
        rows->emplace(op.key, cell{op.value, 1});
      return;
    case write_op::kind::single_erase:
      HOLDFAST_ASSERT(!present || found->second.puts == 1,
                      "single_erase of a key that was put more than once");
      HOLDFAST_ASSERT(!erased.contains(op.key), "single_erase of a key that erase has erased");
      if (present)
        rows->erase(found);
      return;
    case write_op::kind::erase:
      erased.insert(op.key);
      if (present)
        rows->erase(found);
      return;
  }
}

std::unique_ptr<reader> memory_store::snapshot() const {
  const std::scoped_lock lock(*mutex_);
  return std::make_unique<memory_snapshot>(mutex_, tables_);
}

void memory_store::crash() {
  const std::scoped_lock lock(*mutex_);
  for (; !unsynced_.empty(); unsynced_.pop_back()) {
    auto& [in, key, before, was_erased] = unsynced_.back();
    if (was_erased)
      erased_[at(in)].insert(key);
    else
      erased_[at(in)].erase(key);
    auto& rows = tables_[at(in)];
    if (rows.use_count() > 1)
      rows = std::make_shared<table>(*rows);
    if (before)
      rows->insert_or_assign(std::move(key), std::move(*before));
    else
      rows->erase(key);
  }
  fail_next_ = errc::ok;
}

void memory_store::fail_next_write(errc code) {
  const std::scoped_lock lock(*mutex_);
  fail_next_ = code;
}

std::size_t memory_store::size(family in) const {
  const std::scoped_lock lock(*mutex_);
  return tables_[at(in)]->size();
}

std::uint64_t memory_store::durable_writes() const {
  const std::scoped_lock lock(*mutex_);
  return durable_writes_;
}

// Everything in memory; the same rules as on disk, and nothing of the group is remembered but what was taken in.
class memory_store::importing final : public group_import {
public:
  importing(memory_store& into, group_id group) : group_import(group), store_(into) {}

private:
  status stage(const chunk_row& row) override {
    rows_[at(row.in)].emplace_hint(rows_[at(row.in)].end(), row.key,
                                   cell{std::string(row.value), 1});
    return ok_status();
  }
  status seal() override { return ok_status(); }

  status replace(const last_writes& extra) override {
    const std::scoped_lock lock(*store_.mutex_);
    if (store_.fail_next_ != errc::ok)
      return error{std::exchange(store_.fail_next_, errc::ok), "an install that was told to fail"};
    for (const auto& range : state_ranges(group()))
      clear(range.in, range.keys);
    clear(family::log, keys::group(group()));
    for (std::size_t i = 0; i < family_count; ++i)
      rows_of(static_cast<family>(i)).merge(rows_[i]);
    for (const auto& [at_key, value] : extra)
      store_.apply({at_key.first, value ? write_op::kind::put : write_op::kind::erase,
                    at_key.second, value.value_or("")});
    store_.unsynced_.clear();
    ++store_.durable_writes_;
    return ok_status();
  }

  table& rows_of(family in) {
    auto& rows = store_.tables_[at(in)];
    if (rows.use_count() > 1)
      rows = std::make_shared<table>(*rows);
    return *rows;
  }

  void clear(family in, const keys::range& range) {
    auto& rows = rows_of(in);
    rows.erase(rows.lower_bound(range.lower), rows.lower_bound(range.upper));
    auto& erased = store_.erased_[at(in)];
    erased.erase(erased.lower_bound(range.lower), erased.lower_bound(range.upper));
  }

  memory_store& store_;
  std::array<table, family_count> rows_;
};

result<std::unique_ptr<group_import>> memory_store::import_group(group_id group) {
  return std::unique_ptr<group_import>{std::make_unique<importing>(*this, group)};
}

}  // namespace holdfast
