// The part of OpenBLAS that this folder calls. Declared here, because several BLAS packages install
// headers of the same names; integers are 32 bits wide (LP64).
#pragma once

#include "kernels/check.h"

namespace understudy::cpu::blas {

inline constexpr int row_major = 101;
enum Transpose : int { plain = 111, transposed = 112 };
inline constexpr int lower = 122, not_unit = 131, left = 141;

extern "C" {
int openblas_get_parallel();  // 0: built without threads, 1: with its own, 2: with OpenMP
void openblas_set_num_threads(int threads);
void cblas_sgemm(int order, int trans_a, int trans_b, int m, int n, int k, float alpha,
                 const float* a, int lda, const float* b, int ldb, float beta, float* c, int ldc);
void cblas_dgemm(int order, int trans_a, int trans_b, int m, int n, int k, double alpha,
                 const double* a, int lda, const double* b, int ldb, double beta, double* c,
                 int ldc);
void cblas_sgemv(int order, int trans, int m, int n, float alpha, const float* a, int lda,
                 const float* x, int incx, float beta, float* y, int incy);
void cblas_dgemv(int order, int trans, int m, int n, double alpha, const double* a, int lda,
                 const double* x, int incx, double beta, double* y, int incy);
void cblas_dtrsm(int order, int side, int uplo, int trans, int diag, int m, int n, double alpha,
                 const double* a, int lda, double* b, int ldb);
void dpotrf_(const char* uplo, const int* n, double* a, const int* lda, int* info);
}

// The pool of this project is the only one: BLAS computes on the thread that calls it. The OpenMP
// build keeps its number of threads per calling thread, so it cannot be told once and for all.
inline void use_one_thread() {
  static const bool done = [] {
    check(openblas_get_parallel() != 2,
          "this OpenBLAS is built with OpenMP, whose threads would fight with those of the pool; "
          "install libopenblas-pthread-dev and choose it with update-alternatives");
    openblas_set_num_threads(1);
    return true;
  }();
  static_cast<void>(done);
}

inline void gemm(Transpose ta, Transpose tb, int m, int n, int k, const float* a, int lda,
                 const float* b, int ldb, float beta, float* c, int ldc) {
  cblas_sgemm(row_major, ta, tb, m, n, k, 1.0f, a, lda, b, ldb, beta, c, ldc);
}
inline void gemm(Transpose ta, Transpose tb, int m, int n, int k, const double* a, int lda,
                 const double* b, int ldb, double beta, double* c, int ldc) {
  cblas_dgemm(row_major, ta, tb, m, n, k, 1.0, a, lda, b, ldb, beta, c, ldc);
}
inline void gemv(Transpose ta, int m, int n, const float* a, int lda, const float* x, int incx,
                 float beta, float* y) {
  cblas_sgemv(row_major, ta, m, n, 1.0f, a, lda, x, incx, beta, y, 1);
}
inline void gemv(Transpose ta, int m, int n, const double* a, int lda, const double* x, int incx,
                 double beta, double* y) {
  cblas_dgemv(row_major, ta, m, n, 1.0, a, lda, x, incx, beta, y, 1);
}

}  // namespace understudy::cpu::blas
