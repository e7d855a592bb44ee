#include <cmath>
#include <limits>

#include "kernels/check.h"
#include "kernels/cpu/blas.h"
#include "kernels/cpu/cpu_backend.h"

namespace understudy::cpu {

// a = L · Lᵀ, then L · z = b and Lᵀ · x = z. LAPACK counts columns first: what it calls the upper
// triangle of `a` is the lower one of our rows.
bool CpuBackend::solve_spd(const View& a, const View& b) {
  const std::int64_t n = a.shape[0], m = b.shape.rank() == 1 ? 1 : b.shape[1];
  constexpr std::int64_t most = std::numeric_limits<int>::max();
  check(n <= most && m <= most, "[solve_spd] {} x {}: sizes above {} are not supported",
        to_string(a.shape), to_string(b.shape), most);
  if (n == 0) return true;
  blas::use_one_thread();
  const int N = static_cast<int>(n), M = static_cast<int>(m);
  double* const factor = a.as<double>();
  int info = 0;
  blas::dpotrf_("U", &N, factor, &N, &info);
  if (info != 0) return false;
  // A NaN passes the factorisation's own comparison with 0.
  for (std::int64_t i = 0; i < n; ++i)
    if (!std::isfinite(factor[i * n + i])) return false;
  if (m == 0) return true;
  double* const x = b.as<double>();
  blas::cblas_dtrsm(blas::row_major, blas::left, blas::lower, blas::plain, blas::not_unit, N, M,
                    1.0, factor, N, x, M);
  blas::cblas_dtrsm(blas::row_major, blas::left, blas::lower, blas::transposed, blas::not_unit, N,
                    M, 1.0, factor, N, x, M);
  return true;
}

}  // namespace understudy::cpu
