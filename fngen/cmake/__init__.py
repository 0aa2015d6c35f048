"""The folder in which CMake's ``find_package(fngen)`` finds ``fngen_generate()``."""
