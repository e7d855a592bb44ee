// CIFAR-10's binary version: batch files, folders, archives, grey crops.
#include "datasets/cifar.h"

#include <archive.h>
#include <archive_entry.h>
#include <doctest/doctest.h>

#include <string>

#include "tests/datasets_files.h"

using namespace understudy;
using namespace understudy::testing;

namespace {

CifarImages parse(const Bytes& bytes) {
  ByteReader reader = ByteReader::over(bytes, "FILE");
  return read_cifar_batch(reader);
}

std::string error(const Bytes& bytes) {
  return error_of([&] { parse(bytes); });
}

struct Entry {
  std::string path;
  Bytes contents;
};

// A tar of the entries, compressed by `filter` ("", "gzip" or "xz").
Bytes tar(const std::vector<Entry>& entries, const std::string& filter) {
  Bytes out(std::size_t{1} << 22);
  std::size_t used = 0;
  archive* a = archive_write_new();
  REQUIRE(archive_write_set_format_ustar(a) == ARCHIVE_OK);
  if (!filter.empty()) REQUIRE(archive_write_add_filter_by_name(a, filter.c_str()) == ARCHIVE_OK);
  REQUIRE(archive_write_open_memory(a, out.data(), out.size(), &used) == ARCHIVE_OK);
  for (const Entry& entry : entries) {
    archive_entry* header = archive_entry_new();
    archive_entry_set_pathname(header, entry.path.c_str());
    archive_entry_set_size(header, static_cast<la_int64_t>(entry.contents.size()));
    archive_entry_set_filetype(header, AE_IFREG);
    archive_entry_set_perm(header, 0644);
    REQUIRE(archive_write_header(a, header) == ARCHIVE_OK);
    REQUIRE(archive_write_data(a, entry.contents.data(), entry.contents.size()) ==
            static_cast<la_ssize_t>(entry.contents.size()));
    archive_entry_free(header);
  }
  REQUIRE(archive_write_close(a) == ARCHIVE_OK);
  archive_write_free(a);
  out.resize(used);
  return out;
}

// The publisher's layout with batches of 1 + 1 + 1 + 1 + 1 records and a test batch of 3. The label
// of training batch i is i.
std::vector<Entry> publisher() {
  std::vector<Entry> entries = {{"cifar-10-batches-bin/batches.meta.txt", {'a', '\n'}},
                                {"cifar-10-batches-bin/test_batch.bin", cifar_records(3)}};
  for (int i = 5; i >= 1; --i) {
    Bytes batch = cifar_records(1);
    batch[0] = static_cast<std::uint8_t>(i);
    entries.push_back({"cifar-10-batches-bin/data_batch_" + std::to_string(i) + ".bin", batch});
  }
  return entries;
}

CifarTrainTest parse_archive(const Bytes& bytes) {
  ByteReader reader = ByteReader::over(bytes, "ARCHIVE");
  return read_cifar_archive(reader);
}

std::string archive_error(const Bytes& bytes) {
  return error_of([&] { parse_archive(bytes); });
}

}  // namespace

TEST_SUITE_BEGIN("datasets");

TEST_CASE("cifar: planes become NHWC") {
  const Bytes bytes = cifar_records(12);
  for (const Bytes& contents : {bytes, gzip(bytes)}) {
    const CifarImages images = parse(contents);
    REQUIRE(images.labels.size() == 12);
    REQUIRE(images.pixels.size() == 12u * 3072);
    for (std::size_t n : {0, 3, 11}) {
      CHECK(images.labels[n] == n % 10);
      for (std::size_t y : {0, 17, 31})
        for (std::size_t x : {0, 5, 31})
          for (std::size_t c = 0; c < 3; ++c)
            CHECK(images.pixels[((n * 32 + y) * 32 + x) * 3 + c] ==
                  (7 * n + c * 1024 + y * 32 + x) % 251);
    }
  }
}

TEST_CASE("cifar: bad batches") {
  CHECK(error({}) == "FILE: expected records of 3073 bytes, found none");
  Bytes bytes = cifar_records(2);
  bytes.pop_back();
  CHECK(error(bytes) ==
        "FILE: expected whole records of 3073 bytes (a label, 3x32x32 pixels), found 3072 bytes "
        "after record 1");
  bytes = cifar_records(3);
  bytes[2 * 3073] = 10;
  CHECK(error(bytes) == "FILE: expected labels 0 to 9, found 10 in record 2");
  // A bomb: 10,001 records in 40 KiB.
  const Bytes bomb = gzip(Bytes(std::size_t{10001} * 3073));
  CHECK(error(bomb) == "FILE: expected at most 10000 records of 3073 bytes, found more");
}

TEST_CASE("cifar: a folder, its batches plain or gzip") {
  const TemporaryFolder folder;
  for (const Entry& entry : publisher()) {
    const bool plain = contains(entry.path, "data_batch_2");
    write(folder, entry.path + (plain ? "" : ".gz"), plain ? entry.contents : gzip(entry.contents));
  }
  const std::filesystem::path batches = folder.path() / "cifar-10-batches-bin";
  const CifarTrainTest set = read_cifar_folder(batches);
  CHECK(set.train.labels == Bytes{1, 2, 3, 4, 5});
  CHECK(set.train.pixels.size() == 5u * 3072);
  CHECK(set.test.labels == Bytes{0, 1, 2});

  write(folder, "cifar-10-batches-bin/data_batch_4.bin", cifar_records(2));
  CHECK(error_of([&] { read_cifar_folder(batches); }) ==
        batches.string() +
            ": expected 1 records in data_batch_4.bin, as many as in data_batch_1.bin, found 2");
  std::filesystem::remove(batches / "data_batch_3.bin.gz");
  CHECK(error_of([&] { read_cifar_folder(batches); }) ==
        (batches / "data_batch_3.bin").string() + ": expected a file, found none");
}

TEST_CASE("cifar: an archive, in any order of its files") {
  for (const std::string filter : {"", "gzip", "xz"}) {
    CAPTURE(filter);
    const CifarTrainTest set = parse_archive(tar(publisher(), filter));
    CHECK(set.train.labels == Bytes{1, 2, 3, 4, 5});
    CHECK(set.test.labels == Bytes{0, 1, 2});
    CHECK(set.test.pixels == parse(cifar_records(3)).pixels);
  }
}

TEST_CASE("cifar: bad archives") {
  auto entries = publisher();
  entries.erase(entries.begin() + 1);
  CHECK(archive_error(tar(entries, "gzip")) ==
        "ARCHIVE: expected test_batch.bin, found no such file");
  entries = publisher();
  entries.push_back(entries.back());
  CHECK(archive_error(tar(entries, "xz")) ==
        "ARCHIVE: expected one data_batch_1.bin, found a second one");
  entries = publisher();
  entries[1].contents.pop_back();
  CHECK(contains(
      archive_error(tar(entries, "")),
      "ARCHIVE: cifar-10-batches-bin/test_batch.bin: expected whole records of 3073 bytes"));
  CHECK(contains(archive_error({'n', 'o'}), "ARCHIVE: expected a whole tar archive"));
  CHECK(contains(archive_error({}), "ARCHIVE: expected a"));
  // Damage near the end, in the padding that no entry needs: the checksums still find it.
  for (const std::string filter : {"gzip", "xz"}) {
    CAPTURE(filter);
    const Bytes good = tar(publisher(), filter);
    Bytes bad = good;
    bad[good.size() - (filter == "gzip" ? 6 : 20)] ^= 1;
    CHECK(contains(archive_error(bad), "ARCHIVE: expected "));
    for (std::size_t cut : {std::size_t{1}, std::size_t{40}, good.size() / 2})
      CHECK(contains(archive_error(Bytes(good.begin(), good.end() - static_cast<long>(cut))),
                     "ARCHIVE: expected "));
  }
}

TEST_CASE("cifar: grey crops are the rounded mean of the channels") {
  const CifarImages images = parse(cifar_records(2));
  const Bytes grey = grey28(images.pixels);
  REQUIRE(grey.size() == 2u * 28 * 28);
  for (std::size_t n = 0; n < 2; ++n)
    for (std::size_t y = 0; y < 28; ++y)
      for (std::size_t x = 0; x < 28; ++x) {
        const std::uint8_t* p = &images.pixels[((n * 32 + y + 2) * 32 + x + 2) * 3];
        const double mean = (p[0] + p[1] + p[2]) / 3.0;
        CHECK(std::abs(grey[(n * 28 + y) * 28 + x] - mean) <= 0.34);
      }
  Bytes white(3072, 255);
  CHECK(grey28(white) == Bytes(28 * 28, 255));
  CHECK(contains(error_of([] { grey28(Bytes(100)); }), "expected whole images of 3072 bytes"));
}

TEST_SUITE_END();
