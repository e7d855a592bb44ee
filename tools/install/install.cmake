# cmake --install: the libraries as understudy::engine and so on for find_package(understudy), their
# headers under include/understudy, and the programs. The root CMakeLists.txt includes this last.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/understudy)
foreach(name kernels engine models datasets coding)
  target_include_directories(understudy_${name} PUBLIC
    $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}/understudy>)
  target_compile_features(understudy_${name} PUBLIC cxx_std_20)
  set_target_properties(understudy_${name} PROPERTIES EXPORT_NAME ${name})
  install(TARGETS understudy_${name} EXPORT understudyTargets
          ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
  install(DIRECTORY ${PROJECT_SOURCE_DIR}/${name}
          DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/understudy
          FILES_MATCHING PATTERN "*.h"
          PATTERN "data" EXCLUDE PATTERN "study" EXCLUDE)
endforeach()
install(EXPORT understudyTargets NAMESPACE understudy:: DESTINATION ${package_dir})

configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/understudyConfig.cmake.in
  ${PROJECT_BINARY_DIR}/package/understudyConfig.cmake INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/package/understudyConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/package/understudyConfig.cmake
              ${PROJECT_BINARY_DIR}/package/understudyConfigVersion.cmake
        DESTINATION ${package_dir})

if(UNDERSTUDY_TOOLS)
  get_property(programs GLOBAL PROPERTY UNDERSTUDY_PROGRAMS)
  install(TARGETS ${programs} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
