// Tar archives, read in one pass, without unpacking them to disk.
#pragma once

#include <functional>
#include <string>

#include "datasets/byte_reader.h"

namespace understudy {

// Calls `visit` with the path and the contents of each file in the archive, in its order; contents
// that `visit` leaves are skipped. Plain, gzip or xz. Error for anything but a whole tar archive of
// at most 1 GiB of contents.
using TarVisitor = std::function<void(const std::string& path, ByteReader& contents)>;
void read_tar(ByteReader& archive, const TarVisitor& visit);

}  // namespace understudy
