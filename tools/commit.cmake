# Writes OUT, a header with the commit that is built: BGD_COMMIT, "" outside of a checkout. Only if it changed, so that nothing else
# is built again.
cmake_minimum_required(VERSION 3.21)
execute_process(COMMAND git -c safe.directory=* -C ${SOURCE} describe --always --dirty --abbrev=12 --exclude=*
    OUTPUT_VARIABLE COMMIT OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
file(CONFIGURE OUTPUT ${OUT} CONTENT "#define BGD_COMMIT \"@COMMIT@\"\n" @ONLY)
