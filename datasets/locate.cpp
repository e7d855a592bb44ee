#include "datasets/locate.h"

#include <fmt/ranges.h>

#include <cstdlib>
#include <system_error>

#include "kernels/check.h"

namespace understudy {

namespace fs = std::filesystem;

namespace {

// Errors (no permission, a loop of links) count as absence; reading then says what is wrong.
bool present(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

bool has_any(const fs::path& folder, const std::vector<std::string>& files) {
  for (const std::string& file : files)
    if (present(folder / file) || present(folder / (file + ".gz"))) return true;
  return false;
}

std::optional<std::string> environment(const char* name) {
  const char* value = std::getenv(name);
  if (!value || !*value) return {};
  return value;
}

[[noreturn]] void not_found(const std::string& name, const std::vector<fs::path>& roots,
                            const std::string& hint = "") {
  std::vector<std::string> places;
  for (const fs::path& root : roots) places.push_back(root.string());
  fail(
      "{}: expected the data set in one of {}; found it in none{}; get it with: "
      "tools/fetch_datasets {}",
      name, fmt::join(places, ", "), hint, name);
}

}  // namespace

std::optional<fs::path> bundled_data() {
  std::vector<fs::path> places;
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  if (!error) places.push_back(program.parent_path().parent_path() / "share/understudy/data");
  places.emplace_back(UNDERSTUDY_SOURCE_DATA);
  places.emplace_back(UNDERSTUDY_INSTALLED_DATA);
  for (const fs::path& place : places)
    if (present(place)) return place;
  return {};
}

std::vector<fs::path> data_roots(const fs::path& data_dir) {
  if (!data_dir.empty()) return {data_dir};
  std::vector<fs::path> roots;
  if (const auto folder = environment("UNDERSTUDY_DATA_DIR")) roots.emplace_back(*folder);
  if (const auto cache = environment("XDG_CACHE_HOME"))
    roots.push_back(fs::path(*cache) / "understudy");
  else if (const auto home = environment("HOME"))
    roots.push_back(fs::path(*home) / ".cache/understudy");
  if (const auto bundled = bundled_data()) roots.push_back(*bundled);
  return roots;
}

fs::path plain_or_gzip(const fs::path& folder, const std::string& stem) {
  const fs::path plain = folder / stem, gzip = folder / (stem + ".gz");
  return !present(plain) && present(gzip) ? gzip : plain;
}

fs::path locate_idx_folder(const std::string& name, const std::vector<fs::path>& roots) {
  const fs::path torchvision = name == "mnist" ? "MNIST/raw" : "FashionMNIST/raw";
  for (const fs::path& root : roots)
    for (const fs::path& folder : {root / name, root / torchvision})
      if (has_any(folder, {"train-images-idx3-ubyte", "train-labels-idx1-ubyte",
                           "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"}))
        return folder;
  not_found(name, roots);
}

fs::path locate_cifar(const std::vector<fs::path>& roots) {
  std::string hint;
  for (const fs::path& root : roots) {
    for (const fs::path& base : {root / "cifar-10", root}) {
      const fs::path folder = base / "cifar-10-batches-bin";
      if (has_any(folder, {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin",
                           "data_batch_4.bin", "data_batch_5.bin", "test_batch.bin"}))
        return folder;
      for (const char* archive : {"cifar-10-binary.tar.gz", "cifar-10-binary.tar.xz"})
        if (present(base / archive)) return base / archive;
    }
    if (present(root / "cifar-10-batches-py"))
      hint = " (only cifar-10-batches-py, the Python version, which is not read)";
  }
  not_found("cifar-10", roots, hint);
}

}  // namespace understudy
