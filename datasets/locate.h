// Where data are looked for, and in which folder layouts.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace understudy {

// The folders that may hold data sets, in the order of the search: `data_dir` alone when it is
// given; otherwise UNDERSTUDY_DATA_DIR, the user's cache, the bundled data.
std::vector<std::filesystem::path> data_roots(const std::filesystem::path& data_dir);

// The data that come with the project: beside the installed programs, in the source tree, or where
// the build was told to install. Nothing when all three are gone.
std::optional<std::filesystem::path> bundled_data();

// The folder of the four IDX files of "mnist" or "fashion-mnist" below the first root
// that holds any of them, in our layout (mnist/) or torchvision's (MNIST/raw/). Error
// with the places searched.
std::filesystem::path locate_idx_folder(const std::string& name,
                                        const std::vector<std::filesystem::path>& roots);

// `folder`/`stem`, or with .gz behind it when only that is there.
std::filesystem::path plain_or_gzip(const std::filesystem::path& folder, const std::string& stem);

// The folder with CIFAR-10's batch files, or the archive that holds them, likewise.
std::filesystem::path locate_cifar(const std::vector<std::filesystem::path>& roots);

}  // namespace understudy
