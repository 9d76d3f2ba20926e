#include "persistence/rocksdb_import.hpp"

#include <rocksdb/sst_file_writer.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <vector>

#include "persistence/kill_point.hpp"

namespace holdfast {

namespace {

namespace fs = std::filesystem;

constexpr const char* incoming_folder = "/incoming";

std::size_t number_of_family(family in) { return static_cast<std::size_t>(in); }

error import_failed(const std::string& doing, const std::string& why) {
  return {errc::io_failure, doing + ": " + why};
}

status import_status(const rocksdb::Status& done, const std::string& doing) {
  if (done.ok())
    return ok_status();
  return import_failed(doing, done.ToString());
}

/// Where old data is in the way, all files of an ingestion land on level 0, whose number of files slows writes from 20
/// on. So the more there is, the larger they become: 2 GiB of a family are 16 files, 4 GiB are 20.
std::uint64_t file_bytes_max(std::size_t files_before) {
  return (32ULL << 20) << std::min<std::size_t>(files_before / 4, 4);
}

/// A table file that is being written: keys of one range of one family, and the end of all that was there before.
class staged_file {
public:
  staged_file(rocksdb::DB& db, rocksdb::ColumnFamilyHandle* in, std::string path)
    : path_(std::move(path)),
      writer_(rocksdb::EnvOptions(db.GetDBOptions()), db.GetOptions(in), in) {}

  status open() { return note(writer_.Open(path_)); }
  status put(std::string_view key, std::string_view value) {
    return note(writer_.Put({key.data(), key.size()}, {value.data(), value.size()}));
  }
  status erase(std::string_view key) { return note(writer_.Delete({key.data(), key.size()})); }
  /// Of what was there before; not of the keys in this file.
  status erase(const keys::range& range) {
    return note(writer_.DeleteRange(range.lower, range.upper));
  }
  /// Durable, but for its name.
  status finish() { return note(writer_.Finish()); }
  std::uint64_t bytes() { return writer_.FileSize(); }
  const std::string& path() const { return path_; }

private:
  status note(const rocksdb::Status& done) { return import_status(done, "stage " + path_); }

  std::string path_;
  rocksdb::SstFileWriter writer_;
};

class rocksdb_import final : public group_import {
public:
  rocksdb_import(rocksdb::DB& db, const rocksdb_handles& families, rocksdb_failure& failure,
                 group_id group, std::string folder)
    : group_import(group),
      db_(db),
      families_(families),
      failure_(failure),
      folder_(std::move(folder)) {}
  ~rocksdb_import() override {
    file_.reset();
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
  }

private:
  status stage(const chunk_row& row) override {
    if (row.in == family::meta) {  // a few keys: they share their file with the log's
      meta_.emplace(row.key, row.value);
      return ok_status();
    }
    if (file_ && file_family_ != row.in)
      if (auto closed = close_file(keys::group(group()).upper); !closed)
        return closed;
    if (file_ && file_->bytes() >= file_bytes_max(files_of(row.in).size()))
      if (auto closed = close_file(std::string(row.key)); !closed)
        return closed;
    if (!file_) {
      file_start_ = file_family_ == row.in ? row.key : keys::group(group()).lower;
      file_family_ = row.in;
      file_ = make_file(row.in);
      if (auto opened = file_->open(); !opened)
        return opened;
    }
    return file_->put(row.key, row.value);
  }

  status seal() override {
    if (file_)
      if (auto closed = close_file(keys::group(group()).upper); !closed)
        return closed;
    if (auto cleared = clear_others(); !cleared)
      return cleared;
    kill_point("import.staged");
    // An ingestion holds writes back while it writes out memtables with keys in its ranges: none are left now.
    rocksdb::FlushOptions how;
    how.allow_write_stall = true;
    auto flushed = import_status(db_.Flush(how, {families_.begin(), families_.end()}), "flush");
    kill_point("import.sealed");
    return flushed;
  }

  status replace(const last_writes& extra) override {
    if (auto failed = failure_.first())
      return *failed;
    auto replaced = ingest(extra);
    if (!replaced)
      return failure_.note(replaced.error());
    return replaced;
  }

  status ingest(const last_writes& extra) {
    if (auto staged = stage_books(extra); !staged)
      return staged;
    if (auto cleared = clear_others(); !cleared)  // written since `seal`
      return cleared;
    kill_point("install.staged");
    // What was written before is durable before: the manifest is synced, and the log may not have been.
    if (auto synced = import_status(db_.SyncWAL(), "sync the log"); !synced)
      return synced;
    std::vector<rocksdb::IngestExternalFileArg> all;
    for (std::size_t i = 0; i < family_count; ++i) {
      if (files_[i].empty())
        continue;
      rocksdb::IngestExternalFileArg one;
      one.column_family = families_[i];
      one.external_files = files_[i];
      one.options.move_files = true;  // linked, and synced, by RocksDB
      one.options.write_global_seqno = false;
      all.push_back(std::move(one));
    }
    kill_point("install.synced");
    auto done = import_status(db_.IngestExternalFiles(all),
                              "install the state of group " + std::to_string(group()));
    kill_point("install.ingested");
    return done;
  }

  std::vector<std::string>& files_of(family in) { return files_[number_of_family(in)]; }

  std::unique_ptr<staged_file> make_file(family in) {
    return std::make_unique<staged_file>(db_, families_[number_of_family(in)],
                                         folder_ + "/" + std::string(to_string(in)) + "-" +
                                           std::to_string(files_of(in).size()) + ".sst");
  }

  status close_file(std::string end) {
    auto done = file_->erase(keys::range{file_start_, std::move(end)});
    if (done)
      done = file_->finish();
    files_of(file_family_).push_back(file_->path());
    file_.reset();
    kill_point("import.file");
    return done;
  }

  bool has_keys(family in) {
    const auto range = keys::group(group());
    const rocksdb::Slice upper = range.upper;
    rocksdb::ReadOptions options;
    options.iterate_upper_bound = &upper;
    const std::unique_ptr<rocksdb::Iterator> at{
      db_.NewIterator(options, families_[number_of_family(in)])};
    at->Seek(range.lower);
    return at->Valid() || !at->status().ok();
  }

  /// Files with nothing but the end of what was there, for families of which nothing was taken in.
  status clear_others() {
    for (std::size_t i = 0; i < family_count; ++i) {
      const auto in = static_cast<family>(i);
      if (in == family::meta || in == family::log || !files_[i].empty() || !has_keys(in))
        continue;
      auto file = make_file(in);
      auto done = file->open();
      if (done)
        done = file->erase(keys::group(group()));
      if (done)
        done = file->finish();
      if (!done)
        return done;
      files_[i].push_back(file->path());
    }
    return ok_status();
  }

  /// The log, and the group's keys in meta: state that was taken in, and the log's own.
  status stage_books(const last_writes& extra) {
    auto books = extra;
    for (const auto& [key, value] : meta_)
      books[{family::meta, key}] = value;
    for (const auto in : {family::meta, family::log}) {
      auto file = make_file(in);
      auto done = file->open();
      for (const auto& range :
           in == family::meta ? keys::state_in_meta(group()) : std::vector{keys::group(group())})
        if (done)
          done = file->erase(range);
      for (const auto& [at, value] : books)
        if (done && at.first == in)
          done = value ? file->put(at.second, *value) : file->erase(at.second);
      if (done)
        done = file->finish();
      if (!done)
        return done;
      files_of(in).push_back(file->path());
    }
    return ok_status();
  }

  rocksdb::DB& db_;
  const rocksdb_handles& families_;
  rocksdb_failure& failure_;
  std::string folder_;
  std::array<std::vector<std::string>, family_count> files_;  // finished, in order of keys
  std::map<std::string, std::string> meta_;
  std::unique_ptr<staged_file> file_;  // at most one
  family file_family_ = family::meta;  // of the last file
  std::string file_start_;             // where its range begins
};

}  // namespace

result<std::unique_ptr<group_import>> begin_rocksdb_import(rocksdb::DB& db,
                                                           const rocksdb_handles& families,
                                                           rocksdb_failure& failure,
                                                           group_id group) {
  static std::atomic<std::uint64_t> attempts{0};
  const auto folder =
    db.GetName() + incoming_folder + "/" + std::to_string(group) + "." + std::to_string(++attempts);
  std::error_code why;
  fs::create_directories(folder, why);
  if (why)
    return import_failed("make the folder " + folder, why.message());
  return std::unique_ptr<group_import>{
    std::make_unique<rocksdb_import>(db, families, failure, group, folder)};
}

status remove_unfinished_imports(const std::string& path) {
  std::error_code why;
  fs::remove_all(path + incoming_folder, why);
  if (why)
    return import_failed("remove " + path + incoming_folder, why.message());
  return ok_status();
}

}  // namespace holdfast
