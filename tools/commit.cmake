# Writes OUT, a header with the commit of SOURCE that is built: BGD_COMMIT, "" if SOURCE is no checkout, whatever it lies in. Only
# if it changed, so that nothing else is built again. What belongs to another user is asked, too: it is being built.
cmake_minimum_required(VERSION 3.21)
set(COMMIT "")
if(EXISTS ${SOURCE}/.git)
    execute_process(COMMAND git -c safe.directory=${SOURCE} -C ${SOURCE} describe --always --dirty --abbrev=12 --exclude=*
        OUTPUT_VARIABLE COMMIT OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
endif()
file(CONFIGURE OUTPUT ${OUT} CONTENT "#define BGD_COMMIT \"@COMMIT@\"\n" @ONLY)
