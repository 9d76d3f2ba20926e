#include "persistence/rocksdb_store.hpp"

#include <rocksdb/db.h>
#include <rocksdb/perf_level.h>

#include <algorithm>
#include <filesystem>
#include <optional>

#include "persistence/folder_lock.hpp"
#include "persistence/keys.hpp"
#include "persistence/rocksdb_failure.hpp"
#include "persistence/rocksdb_import.hpp"
#include "persistence/rocksdb_settings.hpp"
#include "persistence/rocksdb_wal_tail.hpp"

namespace holdfast {

namespace {

constexpr std::uint8_t folder_format = 1;  // of the folder as a whole: families, keys

rocksdb::Slice slice(std::string_view bytes) noexcept { return {bytes.data(), bytes.size()}; }
std::string_view view(const rocksdb::Slice& bytes) noexcept { return {bytes.data(), bytes.size()}; }

class rocksdb_cursor final : public cursor {
public:
  rocksdb_cursor(rocksdb::DB& db, rocksdb::ColumnFamilyHandle* in, const rocksdb::Snapshot* at,
                 std::string_view lower, std::string_view upper, bool descending)
    : lower_(lower),
      upper_(upper),
      lower_slice_(lower_),
      upper_slice_(upper_),
      descending_(descending) {
    rocksdb::ReadOptions options;
    options.snapshot = at;
    options.fill_cache = at == nullptr;  // a snapshot is for reading much, once
    options.iterate_lower_bound = &lower_slice_;
    options.iterate_upper_bound = &upper_slice_;
    walk_.reset(db.NewIterator(options, in));
    if (descending_)
      walk_->SeekToLast();
    else
      walk_->SeekToFirst();
  }
  bool valid() const override { return walk_->Valid(); }
  std::string_view key() const override { return view(walk_->key()); }
  std::string_view value() const override { return view(walk_->value()); }
  void next() override {
    if (descending_)
      walk_->Prev();
    else
      walk_->Next();
  }
  status state() const override {
    if (walk_->status().ok())
      return ok_status();
    return to_error(walk_->status(), "scan");
  }

private:
  std::string lower_;
  std::string upper_;
  rocksdb::Slice lower_slice_;
  rocksdb::Slice upper_slice_;
  bool descending_;
  std::unique_ptr<rocksdb::Iterator> walk_;
};

using handles = rocksdb_handles;

/// Reads at a moment, or (no snapshot) of now.
class rocksdb_reader final : public reader {
public:
  rocksdb_reader(rocksdb::DB& db, const handles& families, const rocksdb::Snapshot* at)
    : db_(db), families_(families), at_(at) {}
  ~rocksdb_reader() override {
    if (at_ != nullptr)
      db_.ReleaseSnapshot(at_);
  }
  rocksdb_reader(const rocksdb_reader&) = delete;
  rocksdb_reader& operator=(const rocksdb_reader&) = delete;

  result<std::optional<std::string>> get(family in, std::string_view key) const override {
    rocksdb::ReadOptions options;
    options.snapshot = at_;
    std::string value;
    const auto status = db_.Get(options, handle_of(in), slice(key), &value);
    if (status.IsNotFound())
      return std::optional<std::string>{};
    if (!status.ok())
      return to_error(status, "get");
    return std::optional<std::string>{std::move(value)};
  }

  std::unique_ptr<cursor> scan(family in, std::string_view lower, std::string_view upper,
                               bool descending) const override {
    return std::make_unique<rocksdb_cursor>(db_, handle_of(in), at_, lower, upper, descending);
  }

private:
  rocksdb::ColumnFamilyHandle* handle_of(family in) const {
    return families_[static_cast<std::size_t>(in)];
  }

  rocksdb::DB& db_;
  const handles& families_;
  const rocksdb::Snapshot* at_;
};

class rocksdb_store final : public store {
public:
  rocksdb_store(folder_lock lock, std::shared_ptr<rocksdb_failure> failure,
                std::unique_ptr<rocksdb::DB> db, const handles& families)
    : lock_(std::move(lock)),
      failure_(std::move(failure)),
      db_(std::move(db)),
      families_(families),
      now_(*db_, families_, nullptr) {}
  ~rocksdb_store() override {
    if (!failure_->first())
      flush(true);
    for (auto* family : families_)
      db_->DestroyColumnFamilyHandle(family);
    db_->Close();
  }
  rocksdb_store(const rocksdb_store&) = delete;
  rocksdb_store& operator=(const rocksdb_store&) = delete;

  result<std::optional<std::string>> get(family in, std::string_view key) const override {
    return now_.get(in, key);
  }

  std::unique_ptr<cursor> scan(family in, std::string_view lower, std::string_view upper,
                               bool descending) const override {
    return now_.scan(in, lower, upper, descending);
  }

  status write(const write_set& writes, bool durable) override {
    if (auto failed = failure_->first())
      return *failed;
    rocksdb::SetPerfLevel(rocksdb::PerfLevel::kDisable);
    auto written = add(writes);
    if (written.ok()) {
      rocksdb::WriteOptions options;
      options.sync = durable;
      written = db_->Write(options, &batch_);
    }
    batch_.Clear();
    if (batch_.Data().capacity() > batch_bytes_kept)
      batch_ = rocksdb::WriteBatch{};
    if (!written.ok())
      return failure_->note(to_error(written, "write"));
    return ok_status();
  }

  std::unique_ptr<reader> snapshot() const override {
    return std::make_unique<rocksdb_reader>(*db_, families_, db_->GetSnapshot());
  }

  void settle() override { flush(false); }

  result<std::unique_ptr<group_import>> import_group(group_id group) override {
    return begin_rocksdb_import(*db_, families_, *failure_, group);
  }

  /// Whether nothing was ever written here.
  bool is_new() const { return db_->GetLatestSequenceNumber() == 0; }

private:
  static constexpr std::size_t batch_bytes_kept = 8U << 20;

  /// Everything written is durable in the log already: an error changes nothing, and the next write
  /// reports it.
  void flush(bool wait) {
    rocksdb::FlushOptions how;
    how.wait = wait;
    how.allow_write_stall = true;
    db_->Flush(how, {families_.begin(), families_.end()}).PermitUncheckedError();
  }

  rocksdb::Status add(const write_set& writes) {
    for (const auto& op : writes.ops()) {
      auto* in = families_[static_cast<std::size_t>(op.in)];
      rocksdb::Status added;
      switch (op.what) {
        case write_op::kind::put:
          added = batch_.Put(in, slice(op.key), slice(op.value));
          break;
        case write_op::kind::erase:
          added = batch_.Delete(in, slice(op.key));
          break;
        case write_op::kind::single_erase:
          added = batch_.SingleDelete(in, slice(op.key));
          break;
      }
      if (!added.ok())
        return added;
    }
    return rocksdb::Status::OK();
  }

  folder_lock lock_;  // let go of last
  std::shared_ptr<rocksdb_failure> failure_;
  std::unique_ptr<rocksdb::DB> db_;
  handles families_;
  rocksdb_reader now_;
  rocksdb::WriteBatch batch_;  // reused: `write` is called by one thread at a time
};

/// Refuses a folder of a newer format; marks a new one.
status check_format(rocksdb_store& opened, const rocksdb_options& options) {
  const auto known = opened.get(family::meta, keys::node("format"));
  if (!known)
    return known.error();
  if (*known) {
    if ((*known)->size() != 1 || static_cast<std::uint8_t>((**known)[0]) > folder_format)
      return error{errc::corrupt,
                   "the data folder " + options.path +
                     " was written by a newer holdfast: use that version, or restore a backup"};
    return ok_status();
  }
  if (!opened.is_new())
    return error{errc::corrupt,
                 "the data folder " + options.path + " holds no format: it is not one of holdfast"};
  if (options.read_only)
    return error{errc::not_found, "the folder " + options.path + " holds no holdfast data"};
  write_set mark;
  mark.put(family::meta, keys::node("format"), std::string(1, static_cast<char>(folder_format)));
  return opened.write(mark, true);
}

/// A family that this version does not know was made by a newer one, and RocksDB would not open the folder without it.
status check_families(const rocksdb_settings& settings, const std::string& path) {
  std::vector<std::string> names;
  if (const auto listed = rocksdb::DB::ListColumnFamilies(settings.db, path, &names); !listed.ok())
    return to_error(listed, "open " + path);
  for (const auto& name : names) {
    const bool known = std::any_of(settings.families.begin(), settings.families.end(),
                                   [&](const auto& descriptor) { return descriptor.name == name; });
    if (!known)
      return error{errc::corrupt,
                   "the data folder " + path + " holds `" + name +
                     "`, which a newer holdfast wrote: use that version, or restore a backup"};
  }
  return ok_status();
}

bool holds_store(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::exists(path + "/CURRENT", ignored);
}

/// Makes the folder, and its name durable in the one above.
status make_folder(const std::filesystem::path& path) {
  std::error_code failed;
  if (!std::filesystem::create_directories(path, failed) && failed)
    return error{errc::io_failure, "make the folder " + path.string() + ": " + failed.message()};
  const auto above = std::filesystem::absolute(path, failed).lexically_normal().parent_path();
  std::unique_ptr<rocksdb::Directory> directory;
  auto synced = rocksdb::Env::Default()->NewDirectory(above.string(), &directory);
  if (synced.ok())
    synced = directory->Fsync();
  if (!synced.ok())
    return to_error(synced, "sync the folder " + above.string());
  return ok_status();
}

struct opened_db {
  std::unique_ptr<rocksdb::DB> db;
  handles families{};
};

/// `create_missing_column_families` would rewrite and sync the options file for each family: most of the start's time.
rocksdb::Status create_db(const rocksdb_settings& settings, const std::string& path,
                          opened_db& out) {
  auto families = settings.families;
  const auto first = families.begin() + 1;
  std::vector<rocksdb::ColumnFamilyHandle*> opened;
  rocksdb::DB* db = nullptr;
  auto done = rocksdb::DB::Open(settings.db, path, {families.begin(), first}, &opened, &db);
  if (!done.ok())
    return done;
  out.db.reset(db);
  out.families[0] = opened[0];
  done = db->CreateColumnFamilies({first, families.end()}, &opened);
  std::copy(opened.begin(), opened.end(), out.families.begin() + 1);
  return done;
}

rocksdb::Status open_db(const rocksdb_settings& settings, const rocksdb_options& options,
                        opened_db& out) {
  std::vector<rocksdb::ColumnFamilyHandle*> opened;
  rocksdb::DB* db = nullptr;
  const auto done =
    options.read_only
      ? rocksdb::DB::OpenForReadOnly(settings.db, options.path, settings.families, &opened, &db)
      : rocksdb::DB::Open(settings.db, options.path, settings.families, &opened, &db);
  if (done.ok()) {
    out.db.reset(db);
    std::copy(opened.begin(), opened.end(), out.families.begin());
  }
  return done;
}

/// Opens so that damage to what was synced is refused, and a last write that was torn before it was synced is dropped.
status open_checked(rocksdb_settings settings, const rocksdb_options& options, opened_db& out) {
  const auto done = open_db(settings, options, out);
  if (done.ok())
    return ok_status();
  if (done.IsCorruption()) {
    const auto torn = only_last_write_is_torn(options.path);
    if (!torn)
      return torn.error();
    if (*torn) {
      settings.db.wal_recovery_mode = rocksdb::WALRecoveryMode::kPointInTimeRecovery;
      const auto without_tail = open_db(settings, options, out);
      return without_tail.ok() ? ok_status() : to_error(without_tail, "open " + options.path);
    }
  }
  return to_error(done, "open " + options.path);
}

}  // namespace

result<std::unique_ptr<store>> open_rocksdb(const rocksdb_options& options) {
  if (!holds_store(options.path)) {
    if (!options.create_if_missing || options.read_only)
      return error{errc::not_found, "the folder " + options.path + " holds no holdfast data"};
    if (auto made = make_folder(options.path); !made)
      return made.error();
  }
  auto lock =
    options.read_only ? folder_lock::shared(options.path) : folder_lock::exclusive(options.path);
  if (!lock)
    return lock.error();
  auto settings = settings_for(options);
  auto failure = std::make_shared<rocksdb_failure>();
  settings.db.listeners.push_back(failure);
  opened_db opened;
  if (holds_store(options.path)) {
    if (auto known = check_families(settings, options.path); !known)
      return known.error();
    if (!options.read_only)
      if (auto removed = remove_unfinished_imports(options.path); !removed)
        return removed.error();
    if (auto done = open_checked(std::move(settings), options, opened); !done)
      return done.error();
  } else if (const auto made = create_db(settings, options.path, opened); !made.ok()) {
    return to_error(made, "make a store in " + options.path);
  }
  auto out = std::make_unique<rocksdb_store>(std::move(*lock), std::move(failure),
                                             std::move(opened.db), opened.families);
  if (auto checked = check_format(*out, options); !checked)
    return checked.error();
  return std::unique_ptr<store>{std::move(out)};
}

}  // namespace holdfast
