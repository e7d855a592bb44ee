#include "datasets/cifar.h"

#include <array>
#include <optional>
#include <string>

#include "datasets/locate.h"
#include "datasets/tar.h"
#include "kernels/check.h"

namespace understudy {

namespace fs = std::filesystem;

namespace {

constexpr int side = 32, plane = side * side, record_size = 1 + 3 * plane;
constexpr std::int64_t max_records = 10000;

// Position 0..4: the training batches; 5: the test batch.
const std::array<std::string, 6> batch_names = {"data_batch_1.bin", "data_batch_2.bin",
                                                "data_batch_3.bin", "data_batch_4.bin",
                                                "data_batch_5.bin", "test_batch.bin"};
using Batches = std::array<std::optional<CifarImages>, 6>;

CifarTrainTest join(Batches& batches, const std::string& where) {
  for (std::size_t i = 0; i < batches.size(); ++i)
    check(batches[i].has_value(), "{}: expected {}, found no such file", where, batch_names[i]);
  const std::size_t records = batches[0]->labels.size();
  CifarTrainTest set;
  for (std::size_t i = 0; i < 5; ++i) {
    CifarImages& part = *batches[i];
    check(part.labels.size() == records,
          "{}: expected {} records in {}, as many as in {}, found {}", where, records,
          batch_names[i], batch_names[0], part.labels.size());
    set.train.pixels.insert(set.train.pixels.end(), part.pixels.begin(), part.pixels.end());
    set.train.labels.insert(set.train.labels.end(), part.labels.begin(), part.labels.end());
    batches[i].reset();
  }
  set.test = std::move(*batches[5]);
  return set;
}

}  // namespace

CifarImages read_cifar_batch(ByteReader& reader) {
  CifarImages images;
  std::array<std::uint8_t, record_size> record;
  while (const std::size_t n = reader.read(record)) {
    const std::size_t count = images.labels.size();
    check(count < max_records, "{}: expected at most {} records of {} bytes, found more",
          reader.name(), max_records, record_size);
    check(n == record_size,
          "{}: expected whole records of {} bytes (a label, 3x32x32 pixels), found {} bytes after "
          "record {}",
          reader.name(), record_size, n, count);
    check(record[0] < 10, "{}: expected labels 0 to 9, found {} in record {}", reader.name(),
          record[0], count);
    images.labels.push_back(record[0]);
    const std::uint8_t* planes = record.data() + 1;
    const std::size_t start = images.pixels.size();
    images.pixels.resize(start + 3 * plane);
    for (std::size_t p = 0; p < plane; ++p)
      for (std::size_t c = 0; c < 3; ++c) images.pixels[start + 3 * p + c] = planes[c * plane + p];
  }
  check(!images.labels.empty(), "{}: expected records of {} bytes, found none", reader.name(),
        record_size);
  return images;
}

CifarTrainTest read_cifar_folder(const fs::path& folder) {
  Batches batches;
  for (std::size_t i = 0; i < batches.size(); ++i) {
    ByteReader reader = ByteReader::open(plain_or_gzip(folder, batch_names[i]));
    batches[i] = read_cifar_batch(reader);
  }
  return join(batches, folder.string());
}

CifarTrainTest read_cifar_archive(ByteReader& archive) {
  Batches batches;
  read_tar(archive, [&](const std::string& path, ByteReader& contents) {
    const std::string name = fs::path(path).filename().string();
    for (std::size_t i = 0; i < batches.size(); ++i) {
      if (name != batch_names[i]) continue;
      check(!batches[i], "{}: expected one {}, found a second one", archive.name(), name);
      batches[i] = read_cifar_batch(contents);
    }
  });
  return join(batches, archive.name());
}

std::vector<std::uint8_t> grey28(std::span<const std::uint8_t> pixels) {
  constexpr std::size_t image = 3 * plane;
  check(pixels.size() % image == 0, "[grey28] expected whole images of {} bytes, found {} bytes",
        image, pixels.size());
  std::vector<std::uint8_t> grey;
  grey.reserve(pixels.size() / image * 28 * 28);
  for (std::size_t start = 0; start < pixels.size(); start += image)
    for (std::size_t y = 2; y < 30; ++y)
      for (std::size_t x = 2; x < 30; ++x) {
        const std::uint8_t* p = pixels.data() + start + 3 * (y * side + x);
        // (s + 1) / 3 is s/3 rounded to the nearest integer; a third is never halfway.
        grey.push_back(static_cast<std::uint8_t>((p[0] + p[1] + p[2] + 1) / 3));
      }
  return grey;
}

}  // namespace understudy
