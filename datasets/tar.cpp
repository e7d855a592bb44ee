#include "datasets/tar.h"

#include <archive.h>
#include <archive_entry.h>

#include <array>
#include <exception>
#include <memory>

#include "kernels/check.h"

namespace understudy {

namespace {

constexpr std::uint64_t max_contents = std::uint64_t{1} << 30;

// libarchive's view of a ByteReader. Gzip is decoded by the ByteReader, because libarchive does not
// verify its checksum.
struct Feed {
  ByteReader* reader;
  std::exception_ptr error;  // kept from crossing C code
  std::array<std::uint8_t, 65536> buffer;

  static la_ssize_t read(archive*, void* self, const void** out) {
    auto* feed = static_cast<Feed*>(self);
    *out = feed->buffer.data();
    try {
      return static_cast<la_ssize_t>(feed->reader->read(feed->buffer));
    } catch (...) {
      feed->error = std::current_exception();
      return -1;
    }
  }
};

struct Freer {
  void operator()(archive* a) const { archive_read_free(a); }
};

class TarReader {
 public:
  explicit TarReader(ByteReader& source) : feed_{&source, {}, {}}, archive_(archive_read_new()) {
    check(archive_ != nullptr, "{}: libarchive could not start", name());
    archive_read_support_format_tar(archive_.get());
    archive_read_support_filter_xz(archive_.get());
    require(archive_read_open(archive_.get(), &feed_, nullptr, Feed::read, nullptr));
  }

  archive_entry* next() {
    archive_entry* entry = nullptr;
    const int result = archive_read_next_header(archive_.get(), &entry);
    if (result == ARCHIVE_EOF) return nullptr;
    require(result);
    return entry;
  }

  std::size_t read(std::span<std::uint8_t> out) {
    const la_ssize_t n = archive_read_data(archive_.get(), out.data(), out.size());
    if (n < 0) require(ARCHIVE_FATAL);
    return static_cast<std::size_t>(n);
  }

  const std::string& name() const { return feed_.reader->name(); }

 private:
  void require(int result) {
    if (result >= ARCHIVE_WARN) return;
    if (feed_.error) std::rethrow_exception(feed_.error);
    const char* why = archive_error_string(archive_.get());
    fail("{}: expected a whole tar archive (plain, gzip or xz), found: {}", name(),
         why ? why : "an unknown error");
  }

  Feed feed_;
  std::unique_ptr<archive, Freer> archive_;
};

}  // namespace

void read_tar(ByteReader& archive, const TarVisitor& visit) {
  TarReader tar(archive);
  std::uint64_t total = 0;
  std::int64_t files = 0;
  while (archive_entry* entry = tar.next()) {
    if (archive_entry_filetype(entry) != AE_IFREG) continue;
    const char* path = archive_entry_pathname(entry);
    const auto size = static_cast<std::uint64_t>(archive_entry_size(entry));
    total += size <= max_contents ? size : max_contents + 1;
    check(total <= max_contents, "{}: expected at most {} bytes of files, found more", tar.name(),
          max_contents);
    const std::string inner = path ? path : "";
    ++files;
    // libarchive may return 0 only at the end of an entry, as a ByteReader::Source must.
    ByteReader contents(
        tar.name() + ": " + inner, [&tar](std::span<std::uint8_t> out) { return tar.read(out); },
        size);
    visit(inner, contents);
  }
  check(files > 0, "{}: expected a tar archive with files, found none", tar.name());
  // A tar may be padded behind its end; a gzip checksum stands behind that.
  const std::size_t padding = archive.read_up_to(std::uint64_t{1} << 20).size();
  check(padding < std::size_t{1} << 20, "{}: expected the end of the archive, found more bytes",
        tar.name());
}

}  // namespace understudy
