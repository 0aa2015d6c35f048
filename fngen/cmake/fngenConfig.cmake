# find_package(fngen) gives fngen_generate(): layers that are made when what declares them changes.
#
#   fngen_generate(TARGET layers               a target, part of ALL
#                  CONFIG pyproject.toml       the declaration, or its folder (default: this folder)
#                  OUTPUT ${dir}               where to write (default: the target's name, in the binary folder)
#                  DESTINATION pkg/layers      where to install (default: nowhere)
#                  COMPONENT python            the component of the installation (default: CMake's)
#                  VERIFY)                     test what is written against torch autograd

if(CMAKE_VERSION VERSION_LESS 3.21)
  set(fngen_FOUND FALSE)
  set(fngen_NOT_FOUND_MESSAGE "fngen needs CMake 3.21 or newer, this is ${CMAKE_VERSION}")
  return()
endif()

if(NOT Python_EXECUTABLE)
  find_package(Python 3.10 COMPONENTS Interpreter QUIET)
endif()
if(NOT DEFINED FNGEN_COMMAND)
  execute_process(
    COMMAND "${Python_EXECUTABLE}" -m fngen --cmake-dir
    OUTPUT_VARIABLE _fngen_where
    ERROR_VARIABLE _fngen_why
    RESULT_VARIABLE _fngen_result
  )
  if(NOT _fngen_result EQUAL 0)
    set(fngen_FOUND FALSE)
    set(fngen_NOT_FOUND_MESSAGE
      "fngen does not run in the Python '${Python_EXECUTABLE}'; set Python_EXECUTABLE to one that has it\n${_fngen_why}")
    return()
  endif()
  set(FNGEN_COMMAND "${Python_EXECUTABLE}" -m fngen)
endif()

# A property, for folders that did not look for the package themselves.
set_property(GLOBAL PROPERTY FNGEN_COMMAND "${FNGEN_COMMAND}")

function(fngen_generate)
  cmake_parse_arguments(PARSE_ARGV 0 arg "VERIFY" "TARGET;CONFIG;OUTPUT;DESTINATION;COMPONENT" "")
  if(arg_UNPARSED_ARGUMENTS OR arg_KEYWORDS_MISSING_VALUES)
    message(FATAL_ERROR
      "fngen_generate: what is ${arg_UNPARSED_ARGUMENTS}${arg_KEYWORDS_MISSING_VALUES}? "
      "It takes TARGET, CONFIG, OUTPUT, DESTINATION, COMPONENT, each with a value, and VERIFY")
  endif()
  if(NOT arg_TARGET)
    message(FATAL_ERROR "fngen_generate: TARGET is missing")
  endif()
  if(NOT arg_CONFIG)
    set(arg_CONFIG .)
  endif()
  if(NOT arg_OUTPUT)
    set(arg_OUTPUT "${arg_TARGET}")
  endif()
  get_filename_component(config "${arg_CONFIG}" ABSOLUTE)
  get_filename_component(output "${arg_OUTPUT}" ABSOLUTE BASE_DIR "${CMAKE_CURRENT_BINARY_DIR}")
  get_property(command GLOBAL PROPERTY FNGEN_COMMAND)
  set(stamp "${output}/.fngen.stamp")
  set(depfile "${CMAKE_CURRENT_BINARY_DIR}/${arg_TARGET}.d")
  set(verify --no-verify)
  if(arg_VERIFY)
    set(verify)
    execute_process(
      COMMAND "${Python_EXECUTABLE}" -c "import fngen.installed as here; print(here.lacking())"
      OUTPUT_VARIABLE lacking
      OUTPUT_STRIP_TRAILING_WHITESPACE
      COMMAND_ERROR_IS_FATAL ANY
    )
    if(lacking)
      message(FATAL_ERROR "fngen_generate: VERIFY wants torch, and ${lacking} in the Python '${Python_EXECUTABLE}'")
    endif()
  endif()

  add_custom_command(
    OUTPUT "${stamp}"
    COMMAND ${command} build ${verify}
      --config "${config}" --output "${output}" --depfile "${depfile}" --stamp "${stamp}"
    DEPFILE "${depfile}"
    COMMENT "Making ${arg_TARGET} from ${arg_CONFIG}"
    VERBATIM
  )
  add_custom_target(${arg_TARGET} ALL DEPENDS "${stamp}")

  if(arg_DESTINATION)
    set(component)
    if(arg_COMPONENT)
      set(component COMPONENT "${arg_COMPONENT}")
    endif()
    # What is no longer declared has been removed from the folder: what is there belongs in.
    install(DIRECTORY "${output}/" DESTINATION "${arg_DESTINATION}" ${component} FILES_MATCHING PATTERN "*.py")
  endif()
endfunction()
