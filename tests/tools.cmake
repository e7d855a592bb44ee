# Tests of the programs and of the installed package; included by CMakeLists.txt where they are built.
find_package(Python3 COMPONENTS Interpreter)
set(bundled_data ${PROJECT_SOURCE_DIR}/datasets/data)

if(Python3_Interpreter_FOUND)
  add_test(NAME fetch_datasets
           COMMAND Python3::Interpreter ${CMAKE_CURRENT_SOURCE_DIR}/datasets_fetch.py)

  # One ctest entry for each test of a script: ctest's name, the script's class, its arguments.
  function(add_script_tests name class)
    set(script ${CMAKE_CURRENT_SOURCE_DIR}/tools_${name}.py)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${script})
    file(STRINGS ${script} lines REGEX "^    def test_")
    foreach(line IN LISTS lines)
      string(REGEX REPLACE "^    def (test_[a-z0-9_]+).*" "\\1" test ${line})
      add_test(NAME ${name}.${test}
               COMMAND Python3::Interpreter ${script} ${ARGN} ${class}.${test})
    endforeach()
  endfunction()
  add_script_tests(programs Programs ${CMAKE_RUNTIME_OUTPUT_DIRECTORY} ${bundled_data})
  add_script_tests(data Data ${CMAKE_RUNTIME_OUTPUT_DIRECTORY} ${bundled_data})
  add_script_tests(codes Codes ${CMAKE_RUNTIME_OUTPUT_DIRECTORY} ${bundled_data})
  add_script_tests(merges Merges ${CMAKE_RUNTIME_OUTPUT_DIRECTORY} ${bundled_data})
  add_script_tests(compare Compare ${CMAKE_RUNTIME_OUTPUT_DIRECTORY} ${bundled_data})
  add_script_tests(reproduce Reproduce ${CMAKE_RUNTIME_OUTPUT_DIRECTORY} ${bundled_data})
  add_script_tests(cuda Cuda ${CMAKE_BINARY_DIR}/emulated ${bundled_data})
  add_script_tests(scripts Scripts ${PROJECT_SOURCE_DIR}/tools)
endif()

add_test(NAME consumer
         COMMAND ${CMAKE_COMMAND} -D BUILD=${PROJECT_BINARY_DIR} -D CONFIG=$<CONFIG>
                 -D COMPILER=${CMAKE_CXX_COMPILER} -D SANITIZE=${UNDERSTUDY_SANITIZE}
                 -D DATA=${bundled_data} -P ${CMAKE_CURRENT_SOURCE_DIR}/consumer/check.cmake)

# Each benchmark compares its result before it times it: here some of every kind, for that alone.
if(TARGET bench_kernels)
  add_test(NAME bench_kernels
           COMMAND bench_kernels --threads 2 --benchmark_min_time=0.0001
                   "--benchmark_filter=M64_N[12]00|conv/N1_H[48]_|R1024_C512|R64_C10|P178110|code/mlp|decode")
endif()
