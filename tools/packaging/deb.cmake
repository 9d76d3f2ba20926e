# `cpack -G DEB` in a build folder, after building the target holdfast: one package of the binary, its unit and its
# configuration. Only there: `cmake --install` leaves out what lies outside its prefix.
if(NOT TARGET holdfast OR NOT PROJECT_IS_TOP_LEVEL)
  return()
endif()
include(GNUInstallDirs)
set(packaging ${PROJECT_SOURCE_DIR}/tools/packaging)
install(FILES ${packaging}/holdfast.service DESTINATION lib/systemd/system COMPONENT server EXCLUDE_FROM_ALL)
install(FILES ${packaging}/node.yaml DESTINATION /etc/holdfast COMPONENT server EXCLUDE_FROM_ALL)
install(FILES ${packaging}/README.md DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT server EXCLUDE_FROM_ALL)
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR} RENAME copyright
        COMPONENT server EXCLUDE_FROM_ALL)
install(DIRECTORY ${packaging}/three-vms DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT server EXCLUDE_FROM_ALL)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME holdfast)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_SET_DESTDIR ON)  # of /etc
set(CPACK_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_COMPONENTS_ALL server)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_SERVER_PACKAGE_NAME holdfast)
set(CPACK_DEBIAN_SERVER_PACKAGE_SECTION net)
set(CPACK_DEBIAN_SERVER_DESCRIPTION "durable agent runtime\nKeeps AI agents alive: every event, answer and timer is on disk before anything\nacts on it. One process and one folder per node; three nodes make a cluster.")
set(CPACK_DEBIAN_PACKAGE_MAINTAINER "Holdfast <holdfast@localhost>")
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_SERVER_PACKAGE_DEPENDS adduser)
set(CPACK_DEBIAN_SERVER_PACKAGE_RECOMMENDS openssl)
set(CPACK_DEBIAN_SERVER_PACKAGE_CONTROL_EXTRA
  ${packaging}/debian/conffiles ${packaging}/debian/postinst ${packaging}/debian/prerm ${packaging}/debian/postrm)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
include(CPack)
