#!/bin/sh
# demo/project/build.sh SOURCE OUTPUT - compiles the project; the demo runs it inside the boundary.
set -e
for unit in main scan tally; do
    gcc -O2 -Wall -c "$1/$unit.c" -o "$2/$unit.o"
done
gcc -o "$2/words" "$2/main.o" "$2/scan.o" "$2/tally.o"
